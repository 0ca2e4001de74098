// Shares before and after, version by version.

import type { ShareChange } from "../api/change";
import { decimal, percent } from "../format";
import { t } from "../i18n";
import { Icon } from "./icon";
import { ShareBar, TONES } from "./share-bar";

export function ShareChanges({
  shares: given,
  order,
}: {
  shares: readonly ShareChange[];
  /** All versions in the order of declaration: their colours go by it. */
  order: readonly string[];
}) {
  const texts = t().actions;
  const names = [...new Set([...order, ...given.map(({ version }) => version)])];
  const known = new Map(given.map((change) => [change.version, change]));
  const shares = names.map((version) => known.get(version) ?? { version, before: 0, after: 0 });
  const part = (share: (change: ShareChange) => number) =>
    shares.map((change) => ({ version: change.version, share: share(change) }));
  return (
    <div class="changes">
      <div class="changes-bars">
        <span class="quiet">{texts.before}</span>
        <ShareBar parts={part(({ before }) => before)} legend={false} />
        <span class="quiet">{texts.after}</span>
        <ShareBar parts={part(({ after }) => after)} legend={false} />
      </div>
      <table class="table changes-table" role="table" aria-label={texts.beforeAfter}>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              {texts.version}
            </th>
            <th role="columnheader" scope="col" class="number">
              {texts.before}
            </th>
            <th role="columnheader" scope="col" class="number">
              {texts.after}
            </th>
            <th role="columnheader" scope="col" class="number">
              {texts.difference}
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {shares.map(
            ({ version, before, after }, place) =>
              known.has(version) && (
                <tr key={version} role="row">
                  <th role="rowheader" scope="row" data-label={texts.version}>
                    <span class={`swatch tone-${place % TONES}`} aria-hidden="true" />
                    {version}
                  </th>
                  <td role="cell" class="number" data-label={texts.before}>
                    <div class="cell">{percent(before)}</div>
                  </td>
                  <td role="cell" class="number" data-label={texts.after}>
                    <div class="cell">
                      <b>{percent(after)}</b>
                    </div>
                  </td>
                  <td role="cell" class="number" data-label={texts.difference}>
                    <div class="cell">
                      <Difference by={Math.round((after - before) * 100) / 100} />
                    </div>
                  </td>
                </tr>
              ),
          )}
        </tbody>
      </table>
    </div>
  );
}

function Difference({ by }: { by: number }) {
  if (by === 0) return <span class="quiet">{t().actions.same}</span>;
  return (
    <span class={by > 0 ? "difference difference-up" : "difference difference-down"}>
      <Icon name={by > 0 ? "up" : "down"} />
      {t().units.points(`${by > 0 ? "+" : "−"}${decimal(Math.abs(by))}`)}
    </span>
  );
}
