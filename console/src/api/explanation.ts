// What a request would get, and why: `/api/v1/explain`.

import { ask } from "./client";

export interface Explanation {
  environment: string;
  service: string;
  generation?: number;
  /** `override`, `rule:NAME`, `sticky`, `random`, `latest`, or a word for no version. */
  decision: string;
  version?: string;
  distribution: Chance[];
  failure?: string;
  override?: { version: string; result: "granted" | "unknown" | "denied"; why: string };
  rules?: RuleStep[];
  sticky?: StickyStep;
  held?: string;
}

export interface Chance {
  version: string;
  share: number;
  upstream?: string[];
  unhealthy?: boolean;
}

export interface RuleStep {
  name: string;
  matches: boolean;
  decides: boolean;
  why: string;
}

export interface StickyStep {
  key: string;
  mode: "hash" | "pin";
  bucket?: number;
  hash?: string;
  pinned?: string;
}

/** A request as somebody describes it. */
export interface Question {
  method: string;
  path: string;
  /** `name:value` each. */
  headers: string[];
  /** `name=value` each. */
  cookies: string[];
  /** `name=value` each, not encoded. */
  query: string[];
  /** An address. */
  client: string;
}

/** Asks it; parts that are empty are not sent. */
export function explain(environment: string, service: string, question: Question, signal?: AbortSignal) {
  const { method, path, headers, cookies, query, client } = question;
  const parameters = new URLSearchParams({ environment, service });
  for (const [name, value] of Object.entries({ method, path, client })) {
    if (value !== "") parameters.set(name, value);
  }
  for (const [name, values] of Object.entries({ header: headers, cookie: cookies, query })) {
    for (const value of values) parameters.append(name, value);
  }
  return ask<Explanation>(`explain?${parameters}`, { signal });
}
