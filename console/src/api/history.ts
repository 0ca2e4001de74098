// The history of a service, and its live series.

import type { Share, VersionStatus } from "./documents";

export interface HistoryDocument {
  /** The newest first. */
  records: HistoryRecord[];
}

export interface HistoryRecord {
  generation: number;
  at: string;
  environment: string;
  service: string;
  author: Author;
  before: Share[];
  after: Share[];
  served?: { policy: string; versions: { name: string; part: string }[] };
  versions: { name: string; status: VersionStatus; digest?: string }[];
  remark?: string;
  outcome: { kind: "published" } | { kind: "held"; why: string };
  restores?: number;
  file_digest?: string;
}

export type Author = { kind: "start" } | { kind: "file-edit" } | { kind: "command"; user: string; command: string };

/** All arrays of a document have one length: a number a step. */
export interface SeriesDocument {
  now: string;
  step_seconds: number;
  from: string;
  versions: VersionSeries[];
}

export interface VersionSeries {
  name: string;
  requests: number[];
  failed: number[];
  codes: Record<string, number[]>;
  p50_ms: (number | null)[];
  p90_ms: (number | null)[];
  p99_ms: (number | null)[];
  cpu_seconds: number[];
  memory_bytes: (number | null)[];
  share: number[];
}
