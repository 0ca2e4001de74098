// What is declared and served, as far as it is no secret: `/api/v1/config`.

import type { VersionStatus } from "./documents";

export interface Description {
  generation?: number;
  root: string;
  settings: Settings;
  started_with: Settings;
  environments: { name: string; services: ServiceDescription[] }[];
}

export type Settings = Record<string, Value>;

export interface Value {
  text: string;
  relative?: string;
}

export interface ServiceDescription {
  name: string;
  file: string;
  domains: string[];
  routes?: string[];
  traffic: "latest" | "split";
  /** What decides before the shares do: keys such as `sticky.mode` and `rules`. */
  policy?: Settings;
  held?: string;
  quarantined?: { version: string; digest: string; env?: string }[];
  versions: VersionDescription[];
}

export interface VersionDescription {
  name: string;
  component?: Value;
  upstream?: Value;
  settings: Settings;
  share: number;
  status: VersionStatus;
  digest?: string;
}
