// The last hour of a service's versions, kept up to date by asking only for what is new.

import type { SeriesDocument, VersionSeries } from "./api/history";

/** Steps of ten seconds in an hour. */
export const STEPS = 360;

/** A known series with what came since. Where they do not meet, the new one alone. */
export function merged(known: SeriesDocument | undefined, fresh: SeriesDocument): SeriesDocument {
  if (known === undefined || known.step_seconds !== fresh.step_seconds) return fresh;
  if (lengthOf(fresh) === 0) return { ...known, now: fresh.now };
  const step = fresh.step_seconds * 1000;
  const from = Date.parse(known.from);
  const offset = Math.round((Date.parse(fresh.from) - from) / step);
  if (offset < 0 || offset > lengthOf(known)) return fresh;
  const surplus = Math.max(0, offset + lengthOf(fresh) - STEPS);
  const before = new Map(known.versions.map((version) => [version.name, version]));
  const after = new Set(fresh.versions.map(({ name }) => name));
  const versions = fresh.versions.map((version) => joined(before.get(version.name), version, offset, surplus));
  // Those that are gone are told of only where they had requests, and their last ones were before.
  const gone = known.versions.filter(({ name }) => !after.has(name));
  const kept = gone.map((version) => joined(version, nothing(version.name, lengthOf(fresh)), offset, surplus));
  return {
    ...fresh,
    from: new Date(from + surplus * step).toISOString(),
    versions: [...versions, ...kept.filter(({ requests }) => requests.some(Boolean))],
  };
}

/** A version without requests. */
function nothing(name: string, length: number): VersionSeries {
  const zeros = Array.from({ length }, () => 0);
  const nulls = Array.from({ length }, () => null);
  return {
    name,
    requests: zeros,
    failed: zeros,
    codes: {},
    p50_ms: nulls,
    p90_ms: nulls,
    p99_ms: nulls,
    cpu_seconds: zeros,
    memory_bytes: nulls,
    share: zeros,
  };
}

function joined(
  known: VersionSeries | undefined,
  fresh: VersionSeries,
  offset: number,
  surplus: number,
): VersionSeries {
  const join = <T>(before: readonly T[] | undefined, after: readonly T[], nothing: T): T[] => {
    const head = before === undefined ? Array.from({ length: offset }, () => nothing) : before.slice(0, offset);
    return [...head, ...after].slice(surplus);
  };
  const names = new Set([...Object.keys(known?.codes ?? {}), ...Object.keys(fresh.codes)]);
  const none = fresh.requests.map(() => 0);
  const codes = [...names].map((code) => [code, join(known?.codes[code], fresh.codes[code] ?? none, 0)] as const);
  return {
    name: fresh.name,
    requests: join(known?.requests, fresh.requests, 0),
    failed: join(known?.failed, fresh.failed, 0),
    codes: Object.fromEntries(codes),
    p50_ms: join(known?.p50_ms, fresh.p50_ms, null),
    p90_ms: join(known?.p90_ms, fresh.p90_ms, null),
    p99_ms: join(known?.p99_ms, fresh.p99_ms, null),
    cpu_seconds: join(known?.cpu_seconds, fresh.cpu_seconds, 0),
    memory_bytes: join(known?.memory_bytes, fresh.memory_bytes, null),
    share: join(known?.share, fresh.share, 0),
  };
}

export function lengthOf(series: SeriesDocument): number {
  return series.versions[0]?.requests.length ?? 0;
}

/** Seconds since 1970 at the end of each step: a share is of that moment, and no effect is shown before its cause. */
export function timesOf(series: SeriesDocument): number[] {
  const start = Date.parse(series.from) / 1000;
  return Array.from({ length: lengthOf(series) }, (_, place) => start + (place + 1) * series.step_seconds);
}

/** From when on to ask: the last step again, which may not have been over. */
export function since(series: SeriesDocument): string {
  const steps = Math.max(0, lengthOf(series) - 2);
  return new Date(Date.parse(series.from) + steps * series.step_seconds * 1000).toISOString();
}

/** How often a version failed by each code in all of a series, the most frequent first. */
export function failuresOf(series: SeriesDocument | undefined, name: string): [code: string, count: number][] {
  const version = series?.versions.find((version) => version.name === name);
  const counts = Object.entries(version?.codes ?? {}).map(([code, counts]): [string, number] => [
    code,
    counts.reduce((sum, count) => sum + count, 0),
  ]);
  return counts.filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
}
