// What goes wrong when the API is asked, as one type: the process refuses, or it cannot be asked.

import type { Problem, Share } from "./documents";
import type { Author } from "./history";

/** A problem document (RFC 9457) of the process. */
export interface ProblemDocument {
  status: number;
  code: string;
  message: string;
  help?: string;
  place?: { file: string; line?: number; column?: number };
  /** How things stand, where something had been done before it failed. */
  left?: string;
  /** All that is wrong in the files. */
  problems?: Problem[];
  /** With 409: what the file says now, and who changed it last. */
  changed?: Changed;
  /** Where the file cannot be written: the change to make by hand. */
  diff?: string;
  text?: string;
}

/** What a service's file says now, where it is not what somebody decided by. */
export interface Changed {
  /** None where the file cannot be read. */
  file_digest: string | null;
  latest: boolean;
  /** Empty where the file is wrong. */
  shares: Share[];
  author: Author | null;
  at?: string;
  remark?: string;
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
