import { expect, test } from "vitest";
import type { SeriesDocument } from "../../api/history";
import { failuresOf } from "./failures";

const series: SeriesDocument = {
  now: "2026-11-26T10:00:25Z",
  step_seconds: 10,
  from: "2026-11-26T10:00:00Z",
  versions: [
    {
      name: "v1",
      requests: [10, 10, 20],
      failed: [1, 3, 0],
      codes: { memory: [0, 1, 0], trap: [1, 2, 0], overload: [0, 0, 0] },
      p50_ms: [1, 1, 1],
      p90_ms: [1, 1, 1],
      p99_ms: [1, 1, 1],
      cpu_seconds: [0, 0, 0],
      memory_bytes: [null, null, null],
      share: [100, 100, 100],
    },
  ],
};

test("codes that occurred come with how often, of how many, and when last", () => {
  expect(failuresOf(series, "v1")).toEqual([
    { code: "trap", requests: 3, part: 0.075, last: "2026-11-26T10:00:20.000Z" },
    { code: "memory", requests: 1, part: 0.025, last: "2026-11-26T10:00:20.000Z" },
  ]);
});

test("a version without figures has no failures, and the step that goes on ends now", () => {
  expect(failuresOf(series, "v2")).toEqual([]);
  const late = { ...series, versions: series.versions.map((each) => ({ ...each, codes: { trap: [0, 0, 1] } })) };
  expect(failuresOf(late, "v1")[0]?.last).toBe("2026-11-26T10:00:25.000Z");
});
