import { describe, expect, it } from "vitest";

import { bucketsOf, moved, type Owner } from "./buckets";
import { xxh3 } from "./xxh3";

const owners = (...shares: number[]): Owner[] => shares.map((share, place) => ({ name: `v${place + 1}`, share }));

describe("xxh3", () => {
  // By the reference implementation: python3 -c 'import xxhash; xxhash.xxh3_64_hexdigest(text[:n], seed=4321)'.
  const text = "a-name-of-sixty-four-bytes-that-is-longer-than-any-label-may-be-";
  it.each([
    [1, "fc189b16ea569be2"],
    [2, "cbeb4799c9374dc3"],
    [3, "67b090c2a43c9e8c"],
    [4, "73bf5293910beb61"],
    [7, "f60851722f7e3b51"],
    [8, "148a2951344242c2"],
    [9, "6e2c2b03494b548d"],
    [13, "8fcd5c47bfcc441c"],
    [16, "5afe3a28d3877546"],
    [17, "acdc70160b657b70"],
    [32, "3f9d0b1b424d194b"],
    [33, "5f04b568f825f8ec"],
    [48, "32caeb8f0d338842"],
    [63, "4e9622df5c5e5733"],
  ])("of %i bytes is that of the reference", (length, hash) => {
    const bytes = new TextEncoder().encode(text.slice(0, length));
    expect(xxh3(bytes, 4321n).toString(16).padStart(16, "0")).toBe(hash);
  });
});

describe("buckets", () => {
  /** The same owners as in the test "buckets_are_the_same_for_ever" of src/routing/buckets.rs, whose digest they have. */
  it("are those of the process", async () => {
    const names = bucketsOf(owners(7_000, 2_000, 1_000)) ?? [];
    const places = Uint16Array.from(names, (name) => Number(name.slice(1)) - 1);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", places));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    expect(hex).toBe("733a6ed43d9f3c859fa362e8e7d58066212978f3235da81dbfea2a89d5df74ce");
  });

  it("are as many as each share", () => {
    for (const shares of [[10_000], [1, 9_999], [3_333, 3_333, 3_334], [2_500, 0, 2_500, 5_000]]) {
      const names = bucketsOf(owners(...shares)) ?? [];
      const counts = shares.map((_, place) => names.filter((name) => name === `v${place + 1}`).length);
      expect(counts).toEqual(shares);
    }
  });

  it("move no more than they must between two, nor to one that grows alone", () => {
    expect(moved(owners(9_000, 1_000), owners(5_000, 5_000))).toBe(4_000);
    const [before, after] = [bucketsOf(owners(5_000, 3_000, 2_000)), bucketsOf(owners(4_000, 1_500, 4_500))];
    expect(before?.filter((name, bucket) => name === "v3" && after?.[bucket] !== "v3")).toEqual([]);
  });

  it("move at most twice what they must among three", () => {
    const count = moved(owners(5_000, 3_000, 2_000), owners(4_000, 4_000, 2_000)) ?? 0;
    expect(count).toBeGreaterThanOrEqual(1_000);
    expect(count).toBeLessThanOrEqual(2_000);
  });

  it("are not counted where shares are not everything, or versions too many", () => {
    expect(moved(owners(5_000, 4_999), owners(5_000, 5_000))).toBeUndefined();
    expect(bucketsOf(owners(0, 0))).toBeUndefined();
    expect(bucketsOf(owners(...Array.from({ length: 10 }, () => 1_000)))).toBeUndefined();
  });
});
