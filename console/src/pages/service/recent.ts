// The last hour of each version, for lines and plots.

import { useRef } from "preact/hooks";

import { api } from "../../api/client";
import type { SeriesDocument } from "../../api/history";
import { useResource } from "../../resource";
import { merged, since, timesOf } from "../../series";

/** The last hour of a service's versions; none before the first answer. */
export function useHour(environment: string, service: string): SeriesDocument | undefined {
  // By the clock of the process: the browser's may be another.
  const known = useRef<SeriesDocument | undefined>(undefined);
  const series = useResource(
    `series ${environment}/${service}`,
    async (signal) => {
      const from = known.current === undefined ? {} : { since: since(known.current) };
      const fresh = await api.series({ environment, service, step: 10, ...from }, signal);
      known.current = merged(known.current, fresh);
      return known.current;
    },
    { every: 5_000, concerns: () => false },
  );
  return series.document.value;
}

/** Steps that a small line shows: ten minutes. */
const SMALL = 60;

export interface Line {
  times: number[];
  values: (number | null)[];
}

/** The end of a version's series, for a small line. */
export function lineOf(series: SeriesDocument | undefined, name: string, of: "rate" | "p99"): Line | undefined {
  const version = series?.versions.find((version) => version.name === name);
  if (series === undefined || version === undefined) return undefined;
  const values = of === "p99" ? version.p99_ms : version.requests.map((count) => count / series.step_seconds);
  return { times: timesOf(series).slice(-SMALL), values: values.slice(-SMALL) };
}
