import { afterEach, describe, expect, it } from "vitest";

import { ago, bytes, count, milliseconds, percent, rate, ratio, shortDigest } from "./format";
import { language } from "./settings";

/** As somebody reads it: a space is a space. */
const read = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

afterEach(() => {
  language.value = "en";
});

describe("numbers", () => {
  it("have their units, and no more digits than say something", () => {
    expect([0, 0.01, 33.3, 100].map(percent).map(read)).toEqual(["0 %", "0.01 %", "33.3 %", "100 %"]);
    expect([0.2, 5.126, 99.96, 1_234.5, 25_000].map(milliseconds).map(read)).toEqual([
      "200 µs",
      "5.13 ms",
      "100 ms",
      "1,235 ms",
      "25 s",
    ]);
    expect([0.126, 12.34, 1_234.5].map(rate)).toEqual(["0.13", "12.3", "1,235"]);
    expect([0, 1_023, 1_536, 128 * 1024 * 1024].map(bytes).map(read)).toEqual(["0 B", "1,023 B", "1.5 KiB", "128 MiB"]);
    expect(count(1_234_567)).toBe("1,234,567");
  });

  it("never show something as nothing", () => {
    expect([0, 0.00001, 0.0001, 0.00126, 0.12345].map(ratio).map(read)).toEqual([
      "0 %",
      "< 0.01 %",
      "0.01 %",
      "0.13 %",
      "12.3 %",
    ]);
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-26T12:00:00Z");
  const before = (seconds: number) => ago(new Date(now - seconds * 1000), now);

  it("are told in the largest unit that fits", () => {
    expect([0, 59, 60, 3_599, 7_200, 200_000].map(before)).toEqual([
      "now",
      "59 sec ago",
      "1 min ago",
      "59 min ago",
      "2 hr ago",
      "2 days ago",
    ]);
    language.value = "zh";
    expect(before(120)).toBe("2分钟前");
  });
});

it("says twelve digits of a digest", () => {
  expect(shortDigest(`sha256:205def43ae5d${"0".repeat(52)}`)).toBe("205def43ae5d");
});
