// The form of a request that is to be explained. It stands in the address, so that an explanation can be sent to
// somebody.

import type { Question } from "../../api/explanation";

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  /** A line each. */
  headers: string;
  cookies: string;
  client: string;
}

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

export type Complaint = { field: "headers" | "cookies"; line: string };

const lines = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The question, or the first line that is neither a header nor a cookie. */
export function questionOf(asked: Asked): Question | Complaint {
  const headers = lines(asked.headers);
  const header = headers.find((line) => line.indexOf(":") < 1);
  if (header !== undefined) return { field: "headers", line: header };
  const cookies = lines(asked.cookies);
  const cookie = cookies.find((line) => line.indexOf("=") < 1);
  if (cookie !== undefined) return { field: "cookies", line: cookie };
  const mark = asked.path.indexOf("?");
  const path = (mark < 0 ? asked.path : asked.path.slice(0, mark)).trim();
  const query =
    mark < 0 ? [] : [...new URLSearchParams(asked.path.slice(mark + 1))].map(([name, value]) => `${name}=${value}`);
  return {
    method: asked.method,
    path: path === "" ? "/" : path,
    headers: headers.map((line) => line.replace(/^([^:]+):\s*/, "$1:")),
    cookies,
    query,
    client: asked.client.trim(),
  };
}

export const isComplaint = (value: Question | Complaint): value is Complaint => "line" in value;

export function askedIn(query: URLSearchParams): Asked {
  const method = query.get("method") ?? "GET";
  return {
    method: METHODS.find((known) => known === method) ?? "GET",
    path: query.get("path") ?? "/",
    headers: query.get("headers") ?? "",
    cookies: query.get("cookies") ?? "",
    client: query.get("client") ?? "",
  };
}
