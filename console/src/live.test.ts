import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

type Live = typeof import("./live");

/** A stream that a test writes to. */
class Stream {
  private control!: ReadableStreamDefaultController<Uint8Array>;
  readonly body = new ReadableStream<Uint8Array>({ start: (control) => void (this.control = control) });
  write = (text: string) => this.control.enqueue(new TextEncoder().encode(text));
  end = () => this.control.close();
  break = () => this.control.error(new TypeError("broken"));
}

const hello = (process: string, generation = 1) =>
  `event: hello\ndata: ${JSON.stringify({ process, generation, version: "0.1.0" })}\n\n`;

let live: Live;
let streams: Stream[];
let asked: AbortSignal[];
/** What the next request for a stream gets: a stream, or a status, or nothing. */
let next: (() => Response | Promise<Response>)[];
const page = {
  hidden: false,
  seen: () => {},
  addEventListener: (_: string, seen: () => void) => void (page.seen = seen),
};

const stream = () => {
  const made = new Stream();
  streams.push(made);
  return new Response(made.body, { status: 200 });
};
const settled = async () => {
  for (let turn = 0; turn < 20; turn += 1) await vi.advanceTimersByTimeAsync(0);
};

beforeEach(async () => {
  vi.useFakeTimers();
  vi.resetModules();
  [streams, asked, next] = [[], [], []];
  page.hidden = false;
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("fetch", async (_: string, { signal }: { signal: AbortSignal }) => {
    asked.push(signal);
    const response = await (next.shift() ?? stream)();
    // As in a browser: an aborted request ends its stream.
    signal.addEventListener("abort", () => streams.at(-1)?.break());
    return response;
  });
  live = await import("./live");
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function begin(): Promise<Stream> {
  live.follow();
  await settled();
  streams[0]?.write(hello("a"));
  await settled();
  return streams[0] as Stream;
}

describe("a console that follows a process", () => {
  it("is live, and tells of what changes", async () => {
    const first = await begin();
    expect(live.connection.value.state).toBe("live");
    const before = live.announced.value.tick;
    first.write('event: change\ndata: {"generation":2,"environment":"prod","service":"shop"}\n\n');
    await settled();
    expect(live.generation.value).toBe(2);
    expect(live.announced.value).toEqual({ tick: before + 1, environment: "prod", service: "shop" });
  });

  it("takes a stream as dead that says nothing at all for 25 s, and reads everything anew", async () => {
    await begin();
    const before = live.announced.value.tick;
    await vi.advanceTimersByTimeAsync(24_000);
    expect(live.connection.value.state).toBe("live");
    await vi.advanceTimersByTimeAsync(3_000);
    expect(asked.length).toBeGreaterThan(1);
    streams.at(-1)?.write(hello("a", 5));
    await settled();
    expect([live.connection.value.state, live.generation.value]).toEqual(["live", 5]);
    expect(live.announced.value.tick).toBeGreaterThan(before);
  });

  it("keeps a stream that only sends comments", async () => {
    const first = await begin();
    for (let turn = 0; turn < 6; turn += 1) {
      await vi.advanceTimersByTimeAsync(10_000);
      first.write(": still here\n\n");
    }
    expect([live.connection.value.state, asked.length]).toEqual(["live", 1]);
  });

  it("says that the process is gone, tries again, and knows another process", async () => {
    const first = await begin();
    next = [() => Promise.reject(new TypeError("refused")), () => Promise.reject(new TypeError("refused"))];
    first.break();
    await settled();
    expect(live.connection.value.state).toBe("gone");
    await vi.advanceTimersByTimeAsync(2_000);
    streams.at(-1)?.write(hello("b"));
    await settled();
    expect([live.connection.value.state, live.replaced.value]).toEqual(["live", { from: "0.1.0", to: "0.1.0" }]);
  });

  it("asks now and then where there is no stream for it", async () => {
    next = [() => new Response("{}", { status: 503 })];
    live.follow();
    await settled();
    expect(live.connection.value.state).toBe("polling");
    live.answered(7);
    expect(live.generation.value).toBe(7);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked.length).toBe(2);
  });

  it("waits for a session where it needs one", async () => {
    next = [() => new Response("{}", { status: 401 })];
    live.follow();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(1);
    live.retryNow();
    await settled();
    streams.at(-1)?.write(hello("a"));
    await settled();
    expect(live.connection.value.state).toBe("live");
  });

  it("says that the process ends, for as long as it answers", async () => {
    const first = await begin();
    next = Array.from({ length: 5 }, () => () => new Response("{}", { status: 503 }));
    first.write('event: end\ndata: {"generation":1}\n\n');
    first.end();
    await settled();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(live.connection.value.state).toBe("draining");
  });

  /** A browser has six connections of HTTP/1.1 to an origin, over all tabs. */
  it("gives its stream back while nobody looks", async () => {
    await begin();
    page.hidden = true;
    page.seen();
    expect(asked[0]?.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(1);
    expect(live.connection.value.state).toBe("live");
    page.hidden = false;
    page.seen();
    await settled();
    expect(asked.length).toBe(2);
  });
});
