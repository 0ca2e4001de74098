// Shares as the traffic dialog counts them: in whole hundredths of a percent, because a hundred times
// 0.1 is not 10 in binary fractions.

/** Hundredths of a percent that all shares together are. */
export const ALL = 10_000;

/** Hundredths of what a person has written: "12.5" is 1250. None for anything else than 0 to 100 with two decimals. */
export function parseShare(text: string): number | undefined {
  const match = /^\s*(\d{1,3})(?:[.,](\d{0,2}))?\s*%?\s*$/.exec(text);
  if (match === null) return undefined;
  const hundredths = Number(match[1]) * 100 + Number((match[2] ?? "").padEnd(2, "0"));
  return hundredths <= ALL ? hundredths : undefined;
}

/** Hundredths of a share of the API, which has two decimals. */
export function hundredths(share: number): number {
  return Math.round(share * 100);
}

/** The number that the API takes. */
export function percentOf(hundredths: number): number {
  return hundredths / 100;
}

/** As a person writes it: no zeros that say nothing. */
export function written(hundredths: number): string {
  return String(percentOf(hundredths));
}

export function sum(shares: readonly number[]): number {
  return shares.reduce((total, share) => total + share, 0);
}

/** What is missing to 100 %; negative where it is too much. */
export function missing(shares: readonly number[]): number {
  return ALL - sum(shares);
}

/** What `version` has if it takes all that is left by the others; none where they have more than everything. */
export function rest(shares: ReadonlyMap<string, number>, version: string): number | undefined {
  const others = [...shares].filter(([name]) => name !== version).map(([, share]) => share);
  const left = missing(others);
  return left < 0 ? undefined : left;
}

/** All evenly, the first ones with a hundredth more where it does not divide. */
export function evenly(count: number): number[] {
  const each = Math.floor(ALL / count);
  return Array.from({ length: count }, (_, place) => each + (place < ALL % count ? 1 : 0));
}

export interface Move {
  version: string;
  before: number;
  after: number;
}

export interface Moving {
  /** Hundredths of all sticky users that move at least, and at most. Equal where it is sure. */
  least: number;
  most: number;
  /** Versions that no user leaves. */
  keep: string[];
}

/**
 * How many of the users that stick by a hash get another version. Of two versions, or where all traffic goes to one,
 * exactly those move that have to; of more, up to twice as many (`src/routing/buckets.rs` gives the bound). Nobody
 * leaves the one version that grows, if no other does.
 */
export function moving(moves: readonly Move[]): Moving {
  const grown = moves.filter(({ before, after }) => after > before);
  const least = sum(grown.map(({ before, after }) => after - before));
  const taking = moves.filter(({ before, after }) => before > 0 || after > 0);
  const isSure =
    least === 0 || taking.length <= 2 || taking.some(({ before, after }) => before === ALL || after === ALL);
  const most = isSure ? least : Math.min(2 * least, ALL);
  const only = grown.length === 1 ? grown.map(({ version }) => version) : [];
  return { least, most, keep: only.filter((name) => moves.some((move) => move.version === name && move.before > 0)) };
}
