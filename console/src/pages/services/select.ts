// Which services a list shows.

import type { Health, ServiceSummary } from "../../api/documents";

/** Worst first. */
export const HEALTHS: readonly Health[] = ["failing", "attention", "offline", "ok"];

/** Rows of one page: a thousand services must not be a thousand rows to lay out at each figure. */
export const PAGE = 50;

export interface Wanted {
  environment: string | undefined;
  /** A part of the name of a service or of a version of it. */
  text: string;
  health: Health | undefined;
}

export interface Selection {
  matching: ServiceSummary[];
  /** Of those that match but for their health. */
  counts: Record<Health, number>;
  /** Of the environment, whatever else is wanted. */
  all: number;
}

export function select(services: readonly ServiceSummary[], { environment, text, health }: Wanted): Selection {
  const own = services.filter((service) => environment === undefined || service.environment === environment);
  const word = text.trim().toLowerCase();
  const named = own.filter((service) => word === "" || isNamed(service, word));
  const counts: Record<Health, number> = { ok: 0, attention: 0, failing: 0, offline: 0 };
  for (const service of named) counts[service.health] += 1;
  const matching = health === undefined ? named : named.filter((service) => service.health === health);
  return { matching, counts, all: own.length };
}

function isNamed(service: ServiceSummary, word: string): boolean {
  return (
    `${service.environment}/${service.name}`.includes(word) || service.versions.some(({ name }) => name.includes(word))
  );
}

export interface Page {
  /** From 1 on, and never beyond the last: a list may get shorter while somebody looks at its end. */
  page: number;
  pages: number;
  rows: ServiceSummary[];
  /** The places of the first and the last row, from 1 on. */
  first: number;
  last: number;
}

export function paged(services: readonly ServiceSummary[], wanted: string | null): Page {
  const pages = Math.max(1, Math.ceil(services.length / PAGE));
  const page = Math.min(Math.max(1, Math.trunc(Number(wanted)) || 1), pages);
  const rows = services.slice((page - 1) * PAGE, page * PAGE);
  const first = (page - 1) * PAGE + 1;
  return { page, pages, rows, first, last: first + rows.length - 1 };
}
