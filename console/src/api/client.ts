// Asks the admin API. Pages call the functions below and get documents, or one of the errors of `problem.ts`.

import type { Change, ChangeOptions, ChangeOutcome, Preview } from "./change";
import type { Description } from "./config";
import type { ServicesDocument, Session, StatusDocument } from "./documents";
import type { HistoryDocument, SeriesDocument } from "./history";
import { problemOf, Refused, Unreachable } from "./problem";

/** What a request may take: a plan may compile, and nothing else takes long. */
const PATIENCE_MS = 30_000;

type Query = Record<string, string | number | boolean | undefined>;

interface Ask {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  query?: Query;
  signal?: AbortSignal;
  patience?: number;
}

/** Set by the session: goes with each request that changes something. */
let csrf: string | undefined;

/** Called where the process asks for a token: the session is over. */
let onSessionOver: () => void = () => {};

/** Called where the process takes this person for somebody else than the console does. */
let onSessionDoubt: () => void = () => {};

export function useCsrf(token: string | undefined): void {
  csrf = token;
}

export function whenSessionChanges(handlers: { over: () => void; doubt: () => void }): void {
  onSessionOver = handlers.over;
  onSessionDoubt = handlers.doubt;
}

/** Refusals after which the session is looked at again: another tab has logged in, or the role has changed. */
const DOUBTS = ["csrf", "viewer"];

/** Everything stands below the origin that served the console. */
export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(key, String(value));
  }
  const text = parameters.toString();
  return text === "" ? `/api/v1/${path}` : `/api/v1/${path}?${text}`;
}

/** The headers that authenticate a change. */
export function changeHeaders(): Record<string, string> {
  return csrf === undefined ? {} : { "x-csrf-token": csrf };
}

export async function ask<T>(path: string, { method = "GET", body, query, signal, patience }: Ask = {}): Promise<T> {
  const timeout = AbortSignal.timeout(patience ?? PATIENCE_MS);
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") Object.assign(headers, changeHeaders());
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Unreachable(String(error));
  }
  return read<T>(response);
}

/** The document in a response, or the problem. */
export async function read<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  let document: unknown;
  try {
    document = JSON.parse(await response.text());
  } catch (error) {
    if (response.ok) throw new Unreachable(String(error));
  }
  if (response.ok) return document as T;
  const problem = problemOf(response.status, document);
  if (response.status === 401) onSessionOver();
  if (DOUBTS.includes(problem.code)) onSessionDoubt();
  throw new Refused(problem);
}

const within = (environment: string, service: string) =>
  `services/${encodeURIComponent(environment)}/${encodeURIComponent(service)}`;

export const api = {
  session: (signal?: AbortSignal) => ask<Session>("session", { signal }),
  login: (token: string) => ask<Session>("session", { method: "POST", body: { token } }),
  logout: () => ask<void>("session", { method: "DELETE" }),
  services: (signal?: AbortSignal) => ask<ServicesDocument>("services", { signal }),
  status: (query: { environment?: string; service?: string; services?: boolean }, signal?: AbortSignal) =>
    ask<StatusDocument>("status", { query, signal }),
  config: (query: { environment?: string; service?: string }, signal?: AbortSignal) =>
    ask<Description>("config", { query, signal }),
  history: (query: { environment: string; service: string; limit?: number }, signal?: AbortSignal) =>
    ask<HistoryDocument>("history", { query, signal }),
  series: (query: { environment: string; service: string; step?: 1 | 10; since?: string }, signal?: AbortSignal) =>
    ask<SeriesDocument>("series", { query, signal }),
  /** What a change would do; nothing is changed. */
  preview: (environment: string, service: string, change: Change, options: ChangeOptions) =>
    ask<Preview>(`${within(environment, service)}/${change.action}`, {
      method: "POST",
      body: { ...change.body, ...options, dry_run: true },
      patience: 120_000,
    }),
  change: (environment: string, service: string, change: Change, options: ChangeOptions) =>
    ask<ChangeOutcome>(`${within(environment, service)}/${change.action}`, {
      method: "POST",
      body: { ...change.body, ...options },
      patience: 120_000,
    }),
};
