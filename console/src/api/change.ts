// What changes a service: the bodies of `POST /api/v1/services/{environment}/{service}/ACTION`, and what comes back.

import type { Fault, Share } from "./documents";

/** An action and its own members; `expect`, `dry_run`, `remark` and `force` are added when it is sent. */
export type Change =
  | { action: "traffic"; body: { shares: Record<string, number> } | { offline: true } }
  | { action: "promote"; body: { version: string } }
  | { action: "rollback"; body: { to?: number; bad?: boolean; traffic_only?: boolean } }
  | { action: "delete"; body: { versions: string[] } }
  | { action: "release"; body: { version: string } };

export interface ChangeOptions {
  /** The digest of the service's file that the decision was made by: another text is a 409. */
  expect?: string;
  remark?: string;
  force?: boolean;
}

export interface ShareChange {
  version: string;
  before: number;
  after: number;
}

export interface ChangeOutcome {
  outcome: string;
  environment: string;
  service: string;
  versions: string[];
  shares: ShareChange[];
  /** Of the edit; none where nothing was to be done. */
  generation: number | null;
  warnings?: string[];
  /** Of a rollback: what still differs from then. */
  differs?: string[];
}

export interface Preview {
  plan: Plan;
  /** Whether somebody gets less than before. */
  takes_away: boolean;
  /** Lines of the service's file with `-` and `+`; empty where nothing is written. */
  diff: string;
  shares: ShareChange[];
  warnings?: string[];
  /** Of a rollback: the generation that it goes back to. */
  restores?: number | null;
  /** Generations that it passes over. */
  skipped?: Skipped[];
  /** Versions that it would quarantine. */
  quarantines?: string[];
}

export interface Skipped {
  generation: number;
  shares: Share[];
  reason: "rolled-back-from" | "cannot-serve";
  rolled_back_at?: string;
  rolled_back_by?: number;
  detail?: string;
}

export interface Plan {
  services: ServiceChange[];
  settings: KeyChange[];
  restart: KeyChange[];
  compile: { digest: string; component: string; versions: VersionRef[] }[];
  errors: (VersionRef & Fault)[];
  in_error: (VersionRef & Fault)[];
}

export interface VersionRef {
  environment: string;
  service: string;
  version: string;
}

export interface ServiceChange {
  environment: string;
  service: string;
  change: "added" | "changed" | "removed";
  keys: KeyChange[];
  versions: { version: string; change: "added" | "changed" | "removed"; keys: KeyChange[] }[];
  shares: ShareChange[];
  moves: number;
  unreachable: string[];
  serves_nothing: boolean;
  held?: string;
  waits?: string;
}

export interface KeyChange {
  key: string;
  before: string | null;
  after: string | null;
}
