import { describe, expect, it } from "vitest";

import { ALL, evenly, hundredths, missing, moving, parseShare, rest, sum, written } from "./shares";

describe("a share as a person writes it", () => {
  it("has at most two decimals, with a point or a comma", () => {
    expect(["0", "100", "33.33", "12,5", " 7. ", "1.05 %", "0.01"].map(parseShare)).toEqual([
      0, 10_000, 3333, 1250, 700, 105, 1,
    ]);
  });

  it("is nothing else", () => {
    for (const text of ["", "-1", "100.01", "101", "1e1", "12.345", "abc", ".", "1 2", "0x10", "Infinity"]) {
      expect(parseShare(text), text).toBeUndefined();
    }
  });

  it("comes back as it was", () => {
    for (let share = 0; share <= ALL; share += 1) {
      expect(parseShare(written(share))).toBe(share);
      expect(hundredths(share / 100)).toBe(share);
    }
  });
});

describe("the sum", () => {
  it("is exact where binary fractions are not", () => {
    const tenths = Array.from({ length: 100 }, () => 0.1).concat(90);
    expect(sum(tenths)).not.toBe(100);
    expect(missing(tenths.map(hundredths))).toBe(0);
    expect(missing([3333, 3333, 3333])).toBe(1);
    expect(missing([6000, 4001])).toBe(-1);
  });

  it("is everything missing where a service is offline", () => {
    expect(missing([0, 0])).toBe(ALL);
    expect(
      rest(
        new Map([
          ["v1", 0],
          ["v2", 0],
        ]),
        "v1",
      ),
    ).toBe(ALL);
  });

  it("is whole for any number of even parts", () => {
    for (let count = 1; count <= 64; count += 1) {
      const shares = evenly(count);
      expect(sum(shares)).toBe(ALL);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
  });

  it("leaves the rest to one", () => {
    const shares = new Map([
      ["v1", 9_000],
      ["v2", 3],
      ["v3", 0],
    ]);
    expect(rest(shares, "v3")).toBe(997);
    expect(rest(shares, "v1")).toBe(9_997);
    expect(
      rest(
        new Map([
          ["v1", 6_000],
          ["v2", 6_000],
          ["v3", 0],
        ]),
        "v3",
      ),
    ).toBeUndefined();
  });
});

describe("who moves", () => {
  const move = (version: string, before: number, after: number) => ({ version, before, after });

  it("is sure with two versions, and nobody leaves the one that grows", () => {
    expect(moving([move("v1", 9_000, 5_000), move("v2", 1_000, 5_000)])).toEqual({
      least: 4_000,
      most: 4_000,
      keep: ["v2"],
    });
  });

  it("is sure where everything goes to one", () => {
    const all = moving([move("v1", 9_000, 0), move("v2", 1_000, 0), move("v3", 0, ALL)]);
    expect([all.least, all.most, all.keep]).toEqual([ALL, ALL, []]);
  });

  it("is at most twice the least with more", () => {
    const some = moving([move("v1", 5_000, 4_000), move("v2", 3_000, 4_000), move("v3", 2_000, 2_000)]);
    expect([some.least, some.most, some.keep]).toEqual([1_000, 2_000, ["v2"]]);
    const most = moving([move("v1", 8_000, 1_000), move("v2", 1_000, 8_000), move("v3", 1_000, 1_000)]);
    expect(most.most).toBe(ALL);
  });

  it("is nobody where nothing changes", () => {
    expect(moving([move("v1", 5_000, 5_000), move("v2", 3_000, 3_000), move("v3", 2_000, 2_000)]).most).toBe(0);
  });
});
