// The form of a new version: what is typed, what is wrong with it, and the document that it becomes.

import type { NewVersion } from "../../api/deploy";
import { parseShare, percentOf } from "../../shares";

export type Source = "upload" | "file" | "upstream";
export type Policy = "all" | "keep" | "share";

export interface Draft {
  name: string;
  source: Source;
  /** The digest of what was uploaded; none before. */
  uploaded?: string;
  path: string;
  /** Addresses, separated by spaces, commas or lines. */
  targets: string;
  env: { name: string; value: string }[];
  /** By key; an empty text leaves the default. */
  limits: Record<string, string>;
  remark: string;
  policy: Policy;
  share: string;
}

/** The limits that a form asks for, in the order of the documentation. */
export const LIMITS = {
  guest: ["memory", "cpu-time", "wall-time", "request-body", "concurrency", "queue-time"],
  upstream: ["wall-time", "request-body", "concurrency", "queue-time"],
} as const;

/** What is wrong: a key of the dictionary for each field. */
export type Wrong = "required" | "file" | "taken" | "name" | "target" | "variable" | "twice" | "percent";

export type Field = "name" | "upload" | "path" | "targets" | "share" | `env-${number}`;

/** A DNS label without `--`, which separates version and service in a preview domain. */
const NAME = /^(?!.*--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** A form to begin with. A service without versions has nobody to keep traffic at. */
export function emptyDraft(taken: readonly string[]): Draft {
  const policy = taken.length === 0 ? "all" : "keep";
  return {
    name: nextName(taken),
    source: "upload",
    path: "",
    targets: "",
    env: [],
    limits: {},
    remark: "",
    policy,
    share: "10",
  };
}

/** The name after the last one, where names count: v1, v2, then v3. */
export function nextName(taken: readonly string[]): string {
  const counted = taken.map((name) => /^(.*?)(\d+)$/.exec(name)).filter((match) => match !== null);
  const last = counted.at(-1);
  if (last === undefined) return taken.length === 0 ? "v1" : "";
  const [, stem = ""] = last;
  const numbers = counted.filter((match) => match[1] === stem).map((match) => Number(match[2]));
  return `${stem}${Math.max(...numbers) + 1}`;
}

export const targetsOf = (text: string): string[] => text.split(/[\s,]+/).filter((part) => part !== "");

/** What keeps the form from being sent. The process checks the rest, and says what it finds. */
export function problemsOf(draft: Draft, taken: readonly string[]): Map<Field, Wrong> {
  const wrong = new Map<Field, Wrong>();
  if (draft.name === "") wrong.set("name", "required");
  else if (!NAME.test(draft.name)) wrong.set("name", "name");
  else if (taken.includes(draft.name)) wrong.set("name", "taken");
  if (draft.source === "upload" && draft.uploaded === undefined) wrong.set("upload", "file");
  if (draft.source === "file" && draft.path.trim() === "") wrong.set("path", "required");
  if (draft.source === "upstream") {
    const targets = targetsOf(draft.targets);
    if (targets.length === 0) wrong.set("targets", "required");
    else if (targets.some((target) => !/^.+:\d{1,5}$/.test(target))) wrong.set("targets", "target");
  }
  if (draft.policy === "share" && parseShare(draft.share) === undefined) wrong.set("share", "percent");
  variables(draft, wrong);
  return wrong;
}

function variables(draft: Draft, wrong: Map<Field, Wrong>): void {
  if (draft.source === "upstream") return;
  const names = draft.env.map(({ name }) => name);
  draft.env.forEach(({ name, value }, place) => {
    if (name === "" && value === "") return;
    if (name === "" || /[=\0]/.test(name)) wrong.set(`env-${place}`, "variable");
    else if (names.indexOf(name) !== place) wrong.set(`env-${place}`, "twice");
  });
}

/** The document to send; the form has no problems. */
export function documentOf(draft: Draft): NewVersion {
  const { name, source, uploaded, path, targets, policy, share, remark } = draft;
  const traffic = policy === "share" ? percentOf(parseShare(share) ?? 0) : policy;
  const version: NewVersion = { name, traffic };
  if (source === "upload") version.upload = uploaded;
  if (source === "file") version.component = path.trim();
  if (source === "upstream") version.upstream = targetsOf(targets);
  const env = draft.env.filter((variable) => variable.name !== "");
  if (source !== "upstream" && env.length > 0) {
    version.env = Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
  }
  const asked = source === "upstream" ? LIMITS.upstream : LIMITS.guest;
  const limits = asked.filter((key) => (draft.limits[key] ?? "").trim() !== "");
  if (limits.length > 0) {
    version.limits = Object.fromEntries(limits.map((key) => [key, limitOf((draft.limits[key] ?? "").trim())]));
  }
  if (remark.trim() !== "") version.remark = remark.trim();
  return version;
}

/** Counts are numbers in files, and all other limits are texts. */
const limitOf = (text: string): string | number => (/^\d+$/.test(text) ? Number(text) : text);
