// What decides before the shares do, read from the keys of `/api/v1/config`, in the order in which it is asked.

import type { ServiceDescription, Settings } from "./api/config";

export interface Policy {
  override: { header: boolean; query?: string; cookie?: string; previewDomains: boolean; secret: boolean };
  rules: Rule[];
  sticky?: { key: string; mode: string };
  pick: string;
}

export interface Rule {
  name: string;
  /** What has to hold, as `key` and pattern; all of it. */
  match: { key: string; pattern: string }[];
  version?: string;
  split: { version: string; share: string }[];
  otherwise: string;
}

export function policyOf(service: Pick<ServiceDescription, "policy">): Policy {
  const settings = service.policy ?? {};
  const text = (key: string) => settings[key]?.text;
  const key = text("sticky.key");
  return {
    override: {
      header: text("override.header") === "true",
      query: text("override.query"),
      cookie: text("override.cookie"),
      previewDomains: text("override.preview-domains") === "true",
      secret: Object.keys(settings).some((key) => key.startsWith("override.secret")),
    },
    rules: rulesOf(settings),
    sticky: key === undefined ? undefined : { key, mode: text("sticky.mode") ?? "hash" },
    pick: text("pick") ?? "random",
  };
}

function rulesOf(settings: Settings): Rule[] {
  const rules = new Map<string, Rule & { place: number }>();
  for (const [key, { text }] of Object.entries(settings)) {
    const [room, name, member, ...rest] = key.split(".");
    if (room !== "rules" || name === undefined || member === undefined) continue;
    const rule = rules.get(name) ?? { name, place: Infinity, match: [], split: [], otherwise: "next" };
    rules.set(name, rule);
    // Names of headers and parameters may have points themselves.
    const part = rest.join(".");
    if (member === "place") rule.place = Number(text);
    else if (member === "version") rule.version = text;
    else if (member === "otherwise") rule.otherwise = text;
    else if (member === "split") rule.split.push({ version: part, share: text });
    else if (member === "match") rule.match.push({ key: part.replace(".", " "), pattern: text });
  }
  return [...rules.values()].sort((one, other) => one.place - other.place);
}

/** Where a version is seen without changing anything: its preview domain, with the port of the service's address. */
export function previewOf(url: string, version: string): string | undefined {
  try {
    const preview = new URL(url);
    preview.hostname = `${version}--${preview.hostname}`;
    return preview.hostname.startsWith(`${version}--`) ? preview.href : undefined;
  } catch {
    return undefined;
  }
}

/** Requests by decision of one service, out of the text of `/metrics`: its labels are names, and hold no `"` or `\`. */
export function decisionsOf(metrics: string, environment: string, service: string): Map<string, number> {
  const counts = new Map<string, number>();
  const start = `watershed_requests_total{environment="${environment}",service="${service}",`;
  for (const line of metrics.split("\n")) {
    if (!line.startsWith(start)) continue;
    const match = /decision="([^"]*)".*\} ([0-9.e+]+)/.exec(line);
    if (match?.[1] === undefined) continue;
    counts.set(match[1], (counts.get(match[1]) ?? 0) + Number(match[2]));
  }
  return counts;
}
