import { describe, expect, it } from "vitest";

import type { SeriesDocument } from "./api/history";
import { failuresOf, lengthOf, merged, since, STEPS, timesOf } from "./series";

const START = Date.parse("2026-11-26T10:00:00Z");

function series(first: number, requests: number[], names = ["v1"], code?: string): SeriesDocument {
  const nothing = requests.map(() => null);
  return {
    now: new Date(START + (first + requests.length) * 10_000).toISOString(),
    step_seconds: 10,
    from: new Date(START + first * 10_000).toISOString(),
    versions: names.map((name) => ({
      name,
      requests,
      failed: requests,
      codes: code === undefined ? {} : { [code]: requests },
      share: requests,
      p50_ms: nothing,
      p90_ms: nothing,
      p99_ms: nothing,
      cpu_seconds: requests,
      memory_bytes: nothing,
    })),
  };
}

describe("a series and what came since", () => {
  it("meet where they overlap, and the new one is right", () => {
    const both = merged(series(0, [1, 2, 3]), series(2, [30, 4]));
    expect(both.versions[0]?.requests).toEqual([1, 2, 30, 4]);
    expect(timesOf(both).at(-1)).toBe(START / 1000 + 40);
    expect(since(both)).toBe(new Date(START + 20_000).toISOString());
  });

  it("are the new one alone where steps are missing between", () => {
    expect(merged(series(0, [1, 2]), series(3, [4])).versions[0]?.requests).toEqual([4]);
    expect(merged(series(5, [1, 2]), series(0, [4])).versions[0]?.requests).toEqual([4]);
  });

  it("never grow beyond an hour", () => {
    let all = series(0, [0]);
    for (let step = 1; step < 3 * STEPS; step += 1) all = merged(all, series(step, [step]));
    expect(lengthOf(all)).toBe(STEPS);
    expect(all.versions[0]?.requests.at(-1)).toBe(3 * STEPS - 1);
    expect(timesOf(all)[0]).toBe(START / 1000 + (2 * STEPS + 1) * 10);
  });

  it("have zeros for a version, or a code, that was not there before", () => {
    const both = merged(series(0, [1, 2]), series(2, [3], ["v1", "v2"], "trap"));
    expect(both.versions[1]?.requests).toEqual([0, 0, 3]);
    expect(both.versions[0]?.codes).toEqual({ trap: [0, 0, 3] });
    expect(merged(both, series(3, [4], ["v1"])).versions[0]?.codes).toEqual({ trap: [0, 0, 3, 0] });
  });

  it("keep a version that is gone, for as long as it had requests in the hour", () => {
    const both = merged(series(0, [1, 2], ["v1", "v2"]), series(2, [3]));
    expect(both.versions.map(({ name, requests }) => [name, requests])).toEqual([
      ["v1", [1, 2, 3]],
      ["v2", [1, 2, 0]],
    ]);
    let later = both;
    for (let step = 3; step < STEPS + 2; step += 1) later = merged(later, series(step, [1]));
    expect(later.versions.map(({ name }) => name)).toEqual(["v1"]);
  });

  it("stay as they are where nothing came since", () => {
    expect(merged(series(0, [1, 2]), series(9, [])).versions[0]?.requests).toEqual([1, 2]);
  });

  it("may be of no version at all", () => {
    expect(lengthOf(merged(undefined, series(0, [], [])))).toBe(0);
  });
});

it("counts failures by their codes", () => {
  const one = series(0, [1, 2], ["v1"], "trap");
  const codes = { ...one.versions[0]?.codes, "5xx": [9, 0], timeout: [0, 0] };
  const all = { ...one, versions: one.versions.map((version) => ({ ...version, codes })) };
  expect(failuresOf(all, "v1")).toEqual([
    ["5xx", 9],
    ["trap", 3],
  ]);
  expect([failuresOf(all, "v2"), failuresOf(undefined, "v1")]).toEqual([[], []]);
});
