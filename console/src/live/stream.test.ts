import { describe, expect, it } from "vitest";

import { backoff, EventReader } from "./stream";

const STREAM =
  'event: hello\r\ndata: {"generation":1}\r\n\r\n: alive\n\nevent: change\ndata: {"generation":\ndata: 2}\n\n';

describe("a stream of events", () => {
  it("is the same wherever it is cut", () => {
    const whole = new EventReader().push(STREAM);
    expect(whole).toEqual([
      { name: "hello", document: { generation: 1 } },
      { name: "change", document: { generation: 2 } },
    ]);
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      const reader = new EventReader();
      const parts = [...reader.push(STREAM.slice(0, cut)), ...reader.push(STREAM.slice(cut))];
      expect(parts, `cut at ${cut}`).toEqual(whole);
    }
  });

  it("drops what is no document, and goes on", () => {
    const events = new EventReader().push("data: nonsense\n\ndata: 1\n\nnothing\n\nevent: end\ndata: {}\n\n");
    expect(events).toEqual([{ name: "end", document: {} }]);
  });

  it("keeps little of a line that never ends", () => {
    const reader = new EventReader();
    for (let piece = 0; piece < 100; piece += 1) reader.push("x".repeat(64 * 1024));
    expect((reader as unknown as { rest: string }).rest.length).toBeLessThanOrEqual(64 * 1024);
  });
});

describe("the wait before an attempt", () => {
  it("doubles up to ten seconds, and is never none", () => {
    const waits = [1, 2, 3, 7, 50, 5_000].map((attempt) => backoff(attempt, 1));
    expect(waits).toEqual([250, 500, 1_000, 10_000, 10_000, 10_000]);
    expect(backoff(1, 0)).toBe(125);
  });
});
