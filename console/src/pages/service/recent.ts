// The last ten minutes of each version, for small lines.

import { useMemo, useRef } from "preact/hooks";

import { api } from "../../api/client";
import type { SeriesDocument } from "../../api/history";
import { useResource } from "../../resource";

export interface Recent {
  /** Seconds since 1970 at the start of each step. */
  times: number[];
  versions: Map<string, { rate: (number | null)[]; p99: (number | null)[] }>;
}

const STEP = 10;
const MINUTES = 10;

export function useRecent(environment: string, service: string): Recent | undefined {
  // By the clock of the process: the browser's may be another.
  const since = useRef<string | undefined>(undefined);
  const series = useResource(
    `series ${environment}/${service}`,
    async (signal) => {
      const query = { environment, service, step: STEP, ...(since.current === undefined ? {} : { since: since.current }) } as const;
      const document = await api.series(query, signal);
      since.current = new Date(Date.parse(document.now) - (MINUTES * 60 + STEP) * 1000).toISOString();
      return document;
    },
    { every: 5_000, concerns: () => false },
  );
  const document = series.document.value;
  return useMemo(() => (document === undefined ? undefined : recentOf(document)), [document]);
}

/** The end of a series, in requests a second. */
export function recentOf({ from, step_seconds: step, versions }: SeriesDocument): Recent {
  const all = versions[0]?.requests.length ?? 0;
  const first = Math.max(0, all - (MINUTES * 60) / step);
  const start = Date.parse(from) / 1000;
  const times = Array.from({ length: all - first }, (_, place) => start + (first + place) * step);
  const lines = versions.map(({ name, requests, p99_ms }) => {
    const rate = requests.slice(first).map((count) => count / step);
    return [name, { rate, p99: p99_ms.slice(first) }] as const;
  });
  return { times, versions: new Map(lines) };
}
