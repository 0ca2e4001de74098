// What the process tells by itself: `/api/v1/events`. Read by `fetch` and not by an `EventSource`, which hides the
// status of a refusal (401: log in; 503: too many streams) and the comments that show that a silent stream is alive.
//
// A browser gives one origin six connections of HTTP/1.1, over all tabs. So a tab that nobody sees gives its stream
// back, and reads everything anew when it is looked at.

import { signal } from "@preact/signals";

import { address } from "./api/client";
import { backoff, EventReader, type ServerEvent } from "./live/stream";

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** There is no stream, and the process answers: it is asked now and then. */
  | { state: "polling" }
  | { state: "draining" }
  /** Nothing answers since then (milliseconds since 1970); the next try is at `retry`. */
  | { state: "gone"; since: number; retry: number };

export interface Announced {
  /** Counts up with each announcement. */
  tick: number;
  /** None where all services may have changed. */
  environment?: string;
  service?: string;
}

export const connection = signal<Connection>({ state: "connecting" });
export const generation = signal<number | undefined>(undefined);
/** The last thing that changed: pages read anew what it is about. */
export const announced = signal<Announced>({ tick: 0 });
/** Set once another process answers than the one that the page began with. */
export const replaced = signal<{ from: string; to: string } | undefined>(undefined);

/** Comments come every 10 s: after this long without a byte the stream is dead, whatever TCP says. */
const SILENCE_MS = 25_000;

let attempts = 0;
let process: { id: string; version: string } | undefined;
let running: AbortController | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

export function follow(): void {
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : retryNow()));
  addEventListener("online", retryNow);
  if (!document.hidden) retryNow();
}

/** Ends the stream, as at logout or in a tab that nobody sees. */
export function pause(): void {
  clearTimeout(timer);
  running?.abort();
  running = undefined;
}

export function retryNow(): void {
  if (running !== undefined) return;
  clearTimeout(timer);
  void connect();
}

/** An answer that came by asking says that the process is there, and what it serves. */
export function answered(served?: number): void {
  if (connection.value.state === "gone") {
    connection.value = { state: "polling" };
    retryNow();
  }
  if (served !== undefined) serve(served);
}

/** No answer came: the process is gone until something answers. */
export function unanswered(): void {
  if (connection.value.state === "gone") return;
  running?.abort();
  lost();
}

async function connect(): Promise<void> {
  const control = new AbortController();
  running = control;
  const again = attempts > 0 || process !== undefined;
  try {
    const response = await fetch(address("events"), {
      headers: { accept: "text/event-stream" },
      signal: control.signal,
      cache: "no-store",
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      // Nobody is logged in: the session says when somebody is.
      if (response.status !== 401) refused();
      return;
    }
    await drink(response.body, control, again);
    if (!control.signal.aborted) ended();
  } catch {
    if (running === control) lost();
  } finally {
    if (running === control) running = undefined;
  }
}

/** Reads a stream until it ends. */
async function drink(body: ReadableStream<Uint8Array>, control: AbortController, again: boolean): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  const events = new EventReader();
  let watch: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      clearTimeout(watch);
      watch = setTimeout(() => control.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of events.push(value)) take(event, again);
    }
  } finally {
    clearTimeout(watch);
  }
}

function take(event: ServerEvent, again: boolean): void {
  const document = event.document;
  switch (event.name) {
    case "hello":
      attempts = 0;
      connection.value = { state: "live" };
      meet(String(document["process"] ?? ""), String(document["version"] ?? ""));
      if (typeof document["generation"] === "number") generation.value = document["generation"];
      // Whatever happened between two streams was announced to nobody.
      if (again) announce({});
      break;
    case "change":
      if (typeof document["generation"] === "number") generation.value = document["generation"];
      announce({ environment: name(document["environment"]), service: name(document["service"]) });
      break;
    case "end":
      connection.value = { state: "draining" };
      break;
  }
}

const name = (value: unknown) => (typeof value === "string" ? value : undefined);

function meet(id: string, version: string): void {
  if (process !== undefined && process.id !== id) replaced.value = { from: process.version, to: version };
  process = { id, version };
}

function serve(served: number): void {
  if (generation.value === served) return;
  const isFirst = generation.value === undefined;
  generation.value = served;
  if (!isFirst) announce({});
}

function announce(what: Omit<Announced, "tick">): void {
  announced.value = { ...what, tick: announced.value.tick + 1 };
}

/** The process answers, and gives no stream: pages ask, and a stream is tried now and then. */
function refused(): void {
  attempts += 1;
  if (connection.value.state !== "draining") connection.value = { state: "polling" };
  schedule();
}

/** A process that drains ends its streams, and goes on to answer for a while. */
function ended(): void {
  if (connection.value.state === "draining") {
    running = undefined;
    refused();
  } else {
    lost();
  }
}

function lost(): void {
  attempts += 1;
  running = undefined;
  const since = connection.value.state === "gone" ? connection.value.since : Date.now();
  const wait = schedule();
  connection.value = { state: "gone", since, retry: Date.now() + wait };
}

function schedule(): number {
  clearTimeout(timer);
  const wait = backoff(attempts, Math.random());
  if (!document.hidden) timer = setTimeout(retryNow, wait);
  return wait;
}
