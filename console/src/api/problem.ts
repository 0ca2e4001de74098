// What goes wrong when the API is asked, as one type: the process refuses, or it cannot be asked.

import type { Share } from "./documents";

/** A problem document (RFC 9457) of the process. */
export interface ProblemDocument {
  status: number;
  code: string;
  message: string;
  help?: string;
  place?: { file: string; line?: number; column?: number };
  /** With 409 `file-changed`: what the file says now, and who changed it last. */
  changed?: Changed;
  /** Where the file cannot be written: the change to make by hand. */
  diff?: string;
  text?: string;
}

export interface Changed {
  shares?: Share[] | Record<string, number>;
  by?: string;
  user?: string;
  command?: string;
  at?: string;
  generation?: number;
}

/** The process has answered, and refused. */
export class Refused extends Error {
  override name = "Refused";

  constructor(readonly problem: ProblemDocument) {
    super(problem.message);
  }

  /** Whether the same question may be answered later. */
  get mayPass(): boolean {
    return this.problem.status === 503 || this.problem.status === 429;
  }
}

/** Nothing has answered: the process is gone, or the network is. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** Reads the problem in a response; one that a proxy in between has made has no document. */
export function problemOf(status: number, body: unknown): ProblemDocument {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body) {
    return { ...(body as ProblemDocument), status };
  }
  return { status, code: `http-${status}`, message: `HTTP ${status}` };
}

/** The shares in `changed`, whichever of the two shapes they come in. */
export function sharesOf(changed: Changed): Share[] {
  const { shares } = changed;
  if (shares === undefined) return [];
  if (Array.isArray(shares)) return shares;
  return Object.entries(shares).map(([version, share]) => ({ version, share }));
}
