// Numbers and times as the language writes them, each with its unit.

import { language } from "./settings";

const locale = () => (language.value === "zh" ? "zh-CN" : "en-GB");

const numbers = new Map<string, Intl.NumberFormat>();

/** Formats are dear to make: one each. */
function format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = locale() + JSON.stringify(options);
  const known = numbers.get(key) ?? new Intl.NumberFormat(locale(), options);
  numbers.set(key, known);
  return known;
}

export function count(value: number): string {
  return format({ maximumFractionDigits: 0 }).format(value);
}

/** A number with at most two decimals. */
export function decimal(value: number): string {
  return format({ maximumFractionDigits: 2 }).format(value);
}

/** A percentage, with at most two decimals; the space does not break. */
export function percent(share: number): string {
  return `${decimal(share)}\u00a0%`;
}

/** A part of 1 as a percentage. Something that is not nothing is not shown as 0. */
export function ratio(part: number): string {
  const share = part * 100;
  if (share > 0 && share < 0.01) return `<\u00a0${percent(0.01)}`;
  return percent(share >= 10 ? Math.round(share * 10) / 10 : share);
}

/** Requests a second, without the unit. */
export function rate(value: number): string {
  return format({ maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 }).format(value);
}

/** A time span in the unit that suits it. */
export function milliseconds(value: number): string {
  if (value >= 10_000) return `${format({ maximumFractionDigits: 1 }).format(value / 1000)}\u00a0s`;
  if (value > 0 && value < 1) return `${format({ maximumFractionDigits: 0 }).format(value * 1000)}\u00a0µs`;
  return `${format({ maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 }).format(value)}\u00a0ms`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  let size = value;
  while (size >= 1024 && place < units.length - 1) {
    size /= 1024;
    place += 1;
  }
  return `${format({ maximumFractionDigits: size >= 100 || place === 0 ? 0 : 1 }).format(size)}\u00a0${units[place]}`;
}

const SPANS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago a moment was, in the largest unit that fits. */
export function ago(at: Date, now: number): string {
  const seconds = Math.round((at.getTime() - now) / 1000);
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second" as const, 1];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }).format(
    Math.trunc(seconds / length),
    unit,
  );
}

/** A moment to the second, with the zone that it is told in. */
export function exactly(at: Date): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "long" }).format(at);
}

/** A time of day, for the axis of a plot. */
export function clock(at: Date): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(at);
}

/** Twelve digits of a digest say enough, as in the tables of the commands. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
