// The documents of the admin API, under the names that they have there. `docs/operations.md` and
// `/api/v1/openapi.json` say what each member means; here stands only what pages use.

export interface Session {
  authentication: "none" | "token";
  role: Role;
  name?: string;
  /** Goes with each request that changes something; none where no cookie authenticates. */
  csrf?: string;
  version: string;
}

export type Role = "viewer" | "operator";

export type Health = "ok" | "attention" | "failing" | "offline";

export interface ServicesDocument {
  generation: number;
  services: ServiceSummary[];
}

export interface ServiceSummary {
  environment: string;
  name: string;
  url: string;
  health: Health;
  reason?: string;
  versions: VersionSummary[];
  requests_per_second?: number;
  error_ratio?: number;
  p99_ms?: number;
  in_flight: number;
}

export interface VersionSummary {
  name: string;
  status: VersionStatus;
  share: number;
  unhealthy?: boolean;
  quarantined?: boolean;
}

export type VersionStatus = "creating" | "normal" | "error";

export interface StatusDocument {
  generation: number;
  ready: boolean;
  draining?: boolean;
  config: string;
  environments: EnvironmentDocument[];
  rejected?: RejectionDocument[];
  warnings?: Problem[];
  last_reload?: ReloadDocument;
  descriptors?: DescriptorsDocument;
  troubles?: string[];
}

export interface DescriptorsDocument {
  open?: number;
  limit: number;
  reserve: number;
  connections: number;
  connections_max: number;
}

export interface EnvironmentDocument {
  name: string;
  domain: string;
  services: ServiceDocument[];
}

export interface ServiceDocument {
  name: string;
  url: string;
  domains: string[];
  routes?: string[];
  file: string;
  /** Of the text that the process has read last of the file. */
  file_digest?: string;
  latest: boolean;
  since_generation: number;
  serving: string;
  rescuer?: string;
  traffic_since: string;
  traffic_generation: number;
  traffic_age_seconds: number;
  traffic_since_start?: boolean;
  requests_per_second?: number;
  error_ratio?: number;
  p50_ms?: number;
  p99_ms?: number;
  in_flight: number;
  held?: string;
  warning?: string;
  after_restart?: Share[];
  rejected?: ReportDocument;
  versions: VersionDocument[];
}

export interface VersionDocument {
  name: string;
  status: VersionStatus;
  predecessor_serves?: boolean;
  reach?: "pinned" | "override" | "cutoff";
  share: number;
  declared_share: number;
  observed?: ObservedDocument;
  requests_per_second?: number;
  error_ratio?: number;
  p50_ms?: number;
  p99_ms?: number;
  in_flight: number;
  quarantined?: boolean;
  unhealthy?: boolean;
  digest?: string;
  remark?: string;
  error?: Fault;
  substitute?: SubstituteDocument;
  upstream?: UpstreamDocument;
}

export interface Fault {
  code: string;
  detail: string;
  suggestion: string;
  may_pass?: boolean;
}

export interface SubstituteDocument {
  code: string;
  detail: string;
  from: string;
  outlives_process: boolean;
}

export interface UpstreamDocument {
  healthy: number;
  targets: TargetDocument[];
  unresolved?: { name: string; reason: string }[];
}

export interface TargetDocument {
  address: string;
  name?: string;
  weight: number;
  health: "healthy" | "unhealthy" | "unchecked" | "ejected";
  since: string;
  age_seconds: number;
  reason?: string;
  requests: number;
  errors: number;
  latency_ms?: number;
  connections: { open: number; idle: number };
  in_flight: number;
}

export interface ObservedDocument {
  since_publish: WindowDocument;
  minute: WindowDocument;
  hour: WindowDocument;
}

export interface WindowDocument {
  seconds: number;
  requests: number;
  service_requests: number;
  share?: number;
  too_early: boolean;
  drawn?: number;
  drawn_of?: number;
  drawn_share?: number;
  p_value?: number;
  beyond_chance?: boolean;
}

export interface Share {
  version: string;
  share: number;
}

export interface Problem {
  file: string;
  line: number | null;
  column: number | null;
  width: number | null;
  source: string | null;
  message: string;
  help: string;
  is_transient?: boolean;
}

export interface ReportDocument {
  problems: Problem[];
  report: string;
}

export interface RejectionDocument extends ReportDocument {
  environment: string;
  file: string;
  serves?: string;
}

export interface ReloadDocument extends Partial<ReportDocument> {
  at: string;
  outcome: string;
  generation: number;
  files_read: number;
  restart_needed_for?: string[];
}

/** A service of a document, which may have the other environments without their services. */
export function serviceIn<S extends { name: string }>(
  document: { environments: { name: string; services: S[] }[] } | undefined,
  environment: string,
  service: string,
): S | undefined {
  return document?.environments
    .find(({ name }) => name === environment)
    ?.services.find(({ name }) => name === service);
}
