// How often requests to a version failed, by code.

import type { SeriesDocument } from "../../api/history";

export interface FailureRow {
  code: string;
  requests: number;
  /** From 0 to 1: of the version's requests in the same time. */
  part: number;
  /** The end of the last step in which it occurred, RFC 3339. */
  last: string;
}

/** The codes that occurred, the most frequent first. */
export function failuresOf(document: SeriesDocument, version: string): FailureRow[] {
  const series = document.versions.find(({ name }) => name === version);
  if (series === undefined) return [];
  const all = sum(series.requests);
  const rows = Object.entries(series.codes).map(([code, counts]) => {
    const requests = sum(counts);
    const last = counts.findLastIndex((count) => count > 0);
    return { code, requests, part: all === 0 ? 0 : requests / all, last: endOf(document, last) };
  });
  return rows.filter(({ requests }) => requests > 0).sort((a, b) => b.requests - a.requests);
}

function endOf(document: SeriesDocument, step: number): string {
  const end = Date.parse(document.from) + (step + 1) * document.step_seconds * 1000;
  return new Date(Math.min(end, Date.parse(document.now))).toISOString();
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
