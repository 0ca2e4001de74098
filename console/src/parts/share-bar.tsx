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
  return (
    <div class="share">
      <div class="share-bar" aria-hidden="true">
        {shown.map(({ version, share, tone }) => (
          <span key={version} class={`share-part tone-${tone}`} style={{ flexGrow: share }} />
        ))}
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
