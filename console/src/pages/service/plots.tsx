// How the versions did in the last hour, and when somebody changed the traffic: decisions beside their effects.

import type { HistoryRecord, SeriesDocument, VersionSeries } from "../../api/history";
import { milliseconds, percent, rate, ratio } from "../../format";
import { t } from "../../i18n";
import { Plot, type PlotLine } from "../../parts/plot";
import { TONES } from "../../parts/share-bar";
import { timesOf } from "../../series";

export function Plots({
  series,
  names,
  records,
}: {
  series: SeriesDocument | undefined;
  /** Of all versions, in the order of declaration: their colours go by it. */
  names: readonly string[];
  records: readonly HistoryRecord[];
}) {
  const texts = t().service;
  if (series === undefined || series.versions.length === 0) return null;
  const times = timesOf(series);
  const marks = records.map(({ at }) => Date.parse(at) / 1000);
  const step = series.step_seconds;
  // A version that had nothing in the hour is a line on the ground that hides others.
  const shown = series.versions.filter(({ requests, share }) => requests.some(Boolean) || share.some(Boolean));
  // A process that has just begun, or a service that nobody uses: there are neither times nor lines.
  if (times.length === 0 || shown.length === 0) return null;
  const lines = (values: (version: VersionSeries) => (number | null)[]): PlotLine[] =>
    shown.map((version) => ({
      name: version.name,
      tone: `tone-${Math.max(0, names.indexOf(version.name)) % TONES}`,
      values: values(version),
    }));
  const shared = { times, marks };
  return (
    <section class="section">
      <div class="section-head">
        <h2>{texts.lastHour}</h2>
        <span class="quiet small">{texts.marks}</span>
      </div>
      <div class="plots card">
        <Plot
          {...shared}
          title={texts.plots.share}
          lines={lines(({ share }) => share)}
          show={percent}
          isStepped
          most={100}
        />
        <Plot
          {...shared}
          title={texts.plots.rate}
          lines={lines(({ requests }) => requests.map((count) => count / step))}
          show={(value) => t().units.rate(rate(value))}
        />
        <Plot
          {...shared}
          title={texts.plots.errors}
          lines={lines(({ requests, failed }) =>
            requests.map((count, at) => (count === 0 ? null : (failed[at] ?? 0) / count)),
          )}
          show={ratio}
        />
        <Plot {...shared} title={texts.plots.p99} lines={lines(({ p99_ms }) => p99_ms)} show={milliseconds} />
      </div>
    </section>
  );
}
