// A new version: what is asked for, the component that goes with it, and the operation that makes it ready.

import type { ChangeOptions, ChangeOutcome, Preview } from "./change";
import { address, ask, changeHeaders, read } from "./client";
import type { Fault } from "./documents";
import { type ProblemDocument, Unreachable } from "./problem";

/** The body of `POST …/versions`. One of `component`, `upload` and `upstream` is there. */
export interface NewVersion {
  name: string;
  /** A path on the machine of the process. */
  component?: string;
  /** The digest of an uploaded component. */
  upload?: string;
  /** Addresses of targets. */
  upstream?: string[];
  env?: Record<string, string>;
  limits?: Record<string, string | number>;
  remark?: string;
  /** What it gets once it is normal: nothing, everything, or percent. */
  traffic: "keep" | "all" | number;
}

export interface Uploaded {
  digest: string;
  bytes: number;
}

export type Step = "checking" | "writing" | "creating" | "shifting" | "done";

export interface Operation {
  id: string;
  state: "running" | "done" | "failed";
  step: Step;
  environment: string;
  service: string;
  version: string;
  user: string;
  /** RFC 3339. */
  began: string;
  result?: ChangeOutcome;
  error?: OperationError;
}

/** Why an operation failed. It has no status of HTTP. */
export interface OperationError extends Omit<ProblemDocument, "status"> {
  /** Why the version cannot be served. */
  fault?: Fault;
}

const path = (environment: string, service: string) =>
  `services/${encodeURIComponent(environment)}/${encodeURIComponent(service)}/versions`;

/** A plan may compile a component. */
const PATIENCE_MS = 120_000;

export const deployments = {
  preview: (environment: string, service: string, version: NewVersion, options: ChangeOptions = {}) =>
    ask<Preview>(path(environment, service), {
      method: "POST",
      body: { ...version, ...options, dry_run: true },
      patience: PATIENCE_MS,
    }),
  begin: (environment: string, service: string, version: NewVersion, options: ChangeOptions = {}) =>
    ask<{ operation: string }>(path(environment, service), {
      method: "POST",
      body: { ...version, ...options },
      patience: PATIENCE_MS,
    }),
  operation: (id: string, signal?: AbortSignal) => ask<Operation>(`operations/${encodeURIComponent(id)}`, { signal }),
  /** The last 100 of the process, the newest first. */
  operations: (signal?: AbortSignal) => ask<{ operations: Operation[] }>("operations", { signal }),
};

/**
 * Sends a component. `fetch` does not say how much of a body is sent, so this is an XMLHttpRequest.
 * `progress` hears of the part that is sent, from 0 to 1.
 */
export function upload(component: Blob, progress: (part: number) => void, signal: AbortSignal): Promise<Uploaded> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.onprogress = ({ loaded, total }) => progress(total === 0 ? 1 : loaded / total);
    request.onload = () => {
      const { status, statusText, responseText } = request;
      read<Uploaded>(new Response(responseText, { status, statusText })).then(resolve, reject);
    };
    // The process answers a body that is too large before it has read all of it, and a browser may then tell of a
    // lost connection only.
    request.onerror = () => reject(new Unreachable("the upload was cut off"));
    request.onabort = () => reject(signal.reason ?? new DOMException("aborted", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open("POST", address("components"));
    request.setRequestHeader("content-type", "application/wasm");
    for (const [name, value] of Object.entries(changeHeaders())) request.setRequestHeader(name, value);
    request.send(component);
  });
}
