// Who gets how much, as a bar and in words. Colours follow the order of declaration; the words say the same.

import { percent } from "../format";
import { t } from "../i18n";

export interface BarPart {
  version: string;
  share: number;
}

/** The colours that versions have in turn: `theme.css` names them. */
export const TONES = 8;

export function ShareBar({ parts, legend = true }: { parts: readonly BarPart[]; legend?: boolean }) {
  const shown = parts.map((part, place) => ({ ...part, tone: place % TONES })).filter(({ share }) => share > 0);
  const texts = t().services;
  // While somebody writes shares, they may be less than everything.
  const left = 100 - shown.reduce((sum, { share }) => sum + share, 0);
  return (
    <div class="share">
      <div class="share-bar" aria-hidden="true">
        {shown.map(({ version, share, tone }) => (
          <span key={version} class={`share-part tone-${tone}`} style={{ flexGrow: share }} />
        ))}
        {shown.length > 0 && left > 0.004 && <span class="share-left" style={{ flexGrow: left }} />}
      </div>
      {legend && (
        <ul class="share-legend">
          {shown.length === 0 && <li class="quiet">{texts.noVersions}</li>}
          {shown.map(({ version, share, tone }) => (
            <li key={version}>
              <span class={`swatch tone-${tone}`} aria-hidden="true" />
              {version} <b>{percent(share)}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
