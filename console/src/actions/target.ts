// What a dialog changes: a service, as it was when the dialog was opened.

import type { ChangeOutcome, Preview, ShareChange } from "../api/change";
import type { ServiceDocument, Share } from "../api/documents";
import type { Author } from "../api/history";
import { percent } from "../format";
import type { Policy } from "../policy";
import { t } from "../i18n";

export interface Target {
  environment: string;
  /** As it is now: changes while a dialog is open. */
  service: ServiceDocument;
  policy: Policy | undefined;
  /** Reads the service anew, and returns it. */
  refresh: () => Promise<ServiceDocument>;
  /** Shows at once what was done. */
  apply: (outcome: ChangeOutcome) => void;
}

/** Shares as one line of text: `v1 90 %, v2 10 %`. */
export function sharesText(shares: readonly Share[]): string {
  const some = shares.filter(({ share }) => share > 0);
  return some.length === 0
    ? t().service.nothing
    : some.map(({ version, share }) => `${version} ${percent(share)}`).join(", ");
}

/** What changed, as one line of text: `v1 90 % → 50 %, v2 10 % → 50 %`. */
export function changesText(shares: readonly ShareChange[]): string {
  const changed = shares.filter(({ before, after }) => before !== after);
  return changed.map(({ version, before, after }) => `${version} ${percent(before)} → ${percent(after)}`).join(", ");
}

/** Who caused a change, as one line of text. */
export function authorText(author: Author): string {
  const texts = t().service.author;
  if (author.kind === "start") return texts.start;
  return author.kind === "file-edit" ? texts.file : `${author.user} (${author.command})`;
}

/** A service with the shares that a change has left. */
export function withShares(service: ServiceDocument, shares: readonly ShareChange[]): ServiceDocument {
  const after = new Map(shares.map((change) => [change.version, change.after]));
  const versions = service.versions.map((version) => {
    const share = after.get(version.name);
    return share === undefined ? version : { ...version, share, declared_share: share };
  });
  return { ...service, versions };
}

export function changesNothing(preview: Preview): boolean {
  return preview.diff === "" && preview.plan.services.length === 0;
}
