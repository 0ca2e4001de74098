// Which version owns which of ten thousand buckets, as `src/routing/buckets.rs` decides it: so the traffic dialog says
// exactly how many users get another version. Costs are whole numbers below 2^53, and so exact here too.

import { ALL } from "./shares";
import { LONGEST, xxh3 } from "./xxh3";

export interface Owner {
  name: string;
  /** In hundredths of a percent. All together are 10,000. */
  share: number;
}

/** Units in which costs are counted, one for each unit of the logarithm. */
const SCALE = 2 ** 40;

/** More versions than this take too long while somebody types. */
export const OWNERS_MAX = 6;

const scaled = (logarithm: number) => Math.trunc(logarithm * SCALE);

const costs = new Map<string, Float64Array>();

/** What each bucket costs a version: made from its name alone, so it is made once. */
function costsOf(name: string): Float64Array {
  const known = costs.get(name);
  if (known !== undefined) return known;
  const text = new TextEncoder().encode(name);
  const made = Float64Array.from({ length: ALL }, (_, bucket) => {
    const uniform = (Number(xxh3(text, BigInt(bucket)) >> 12n) + 0.5) / 2 ** 52;
    return scaled(Math.log(-Math.log(uniform)));
  });
  costs.set(name, made);
  return made;
}

/** The name of the owner of each bucket. None where it would take too long. */
export function bucketsOf(owners: readonly Owner[]): string[] | undefined {
  const some = owners.filter(({ share }) => share > 0).sort((one, other) => (one.name < other.name ? -1 : 1));
  const isSmall = some.length <= OWNERS_MAX && some.every(({ name }) => name.length > 0 && name.length <= LONGEST);
  if (!isSmall || some.reduce((sum, { share }) => sum + share, 0) !== ALL) return undefined;
  const assignment = new Assignment(some);
  while (assignment.improve());
  return Array.from(assignment.places, (place) => some[place]?.name ?? "");
}

/** How many of the buckets, and so hundredths of a percent of the users, get another version. */
export function moved(before: readonly Owner[], after: readonly Owner[]): number | undefined {
  const [was, is] = [bucketsOf(before), bucketsOf(after)];
  if (was === undefined || is === undefined) return undefined;
  return was.filter((name, bucket) => name !== is[bucket]).length;
}

interface Offer {
  cost: number;
  bucket: number;
}

/** A way to give buckets to owners, the cheapest of all with the same counts. */
class Assignment {
  readonly places: Uint8Array;
  private readonly surplus: number[];
  private readonly costs: Float64Array[];

  constructor(owners: readonly Owner[]) {
    this.costs = owners.map(({ name }) => costsOf(name));
    this.surplus = owners.map(({ share }) => -share);
    const discounts = owners.map(({ share }) => scaled(Math.log(share)));
    this.places = Uint8Array.from({ length: ALL }, (_, bucket) => {
      let best = 0;
      let least = Infinity;
      this.costs.forEach((costs, place) => {
        const paid = (costs[bucket] ?? 0) - (discounts[place] ?? 0);
        if (paid < least) [least, best] = [paid, place];
      });
      return best;
    });
    for (const place of this.places) this.surplus[place] = (this.surplus[place] ?? 0) + 1;
  }

  /** Moves a bucket from one who has too many to one who has too few, by way of others where that is cheaper. */
  improve(): boolean {
    if (!this.surplus.some((surplus) => surplus > 0)) return false;
    const offers = this.offers();
    const path = this.cheapestPath(offers);
    if (path === undefined) return false;
    const steps = path.slice(1).map((to, at) => ({ from: path[at] ?? 0, to }));
    for (const { from, to } of steps) {
      const offer = offers[from]?.[to];
      if (offer === undefined) continue;
      this.places[offer.bucket] = to;
      this.surplus[from] = (this.surplus[from] ?? 0) - 1;
      this.surplus[to] = (this.surplus[to] ?? 0) + 1;
    }
    return true;
  }

  /** Of each owner, for each other one: the bucket that is cheapest to give. */
  private offers(): (Offer | undefined)[][] {
    const { costs, places } = this;
    const best: (Offer | undefined)[][] = costs.map(() => costs.map(() => undefined));
    places.forEach((from, bucket) => {
      const own = costs[from]?.[bucket] ?? 0;
      const row = best[from] ?? [];
      costs.forEach((others, to) => {
        const cost = (others[bucket] ?? 0) - own;
        if (to !== from && cost < (row[to]?.cost ?? Infinity)) row[to] = { cost, bucket };
      });
    });
    return best;
  }

  /** From any owner with too many to any with too few (Bellman and Ford: costs may be negative, but in no circle). */
  private cheapestPath(offers: (Offer | undefined)[][]): number[] | undefined {
    const paid = this.surplus.map((surplus) => (surplus > 0 ? 0 : Infinity));
    const before: (number | undefined)[] = paid.map(() => undefined);
    for (let round = 0; round < paid.length; round += 1) {
      let isChanged = false;
      offers.forEach((row, from) => {
        row.forEach((offer, to) => {
          const cost = (paid[from] ?? Infinity) + (offer?.cost ?? Infinity);
          if (cost >= (paid[to] ?? Infinity)) return;
          paid[to] = cost;
          before[to] = from;
          isChanged = true;
        });
      });
      if (!isChanged) break;
    }
    let last: number | undefined;
    this.surplus.forEach((surplus, place) => {
      const isNearer = last === undefined || (paid[place] ?? Infinity) < (paid[last] ?? Infinity);
      if (surplus < 0 && Number.isFinite(paid[place]) && isNearer) last = place;
    });
    return last === undefined ? undefined : wayTo(last, before);
  }
}

function wayTo(last: number, before: readonly (number | undefined)[]): number[] | undefined {
  const path = [last];
  for (let at = before[last]; at !== undefined; at = before[at]) {
    path.unshift(at);
    if (path.length > before.length) return undefined;
  }
  return path;
}
