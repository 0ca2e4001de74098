// One version of the traffic dialog. The slider moves by whole percents, the number by hundredths.

import { useId } from "preact/hooks";

import type { VersionDocument } from "../api/documents";
import { percent } from "../format";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { TONES } from "../parts/share-bar";
import { StatusBadge } from "../parts/status";
import { percentOf, written } from "../shares";

export interface ShareInputProps {
  version: VersionDocument;
  /** Its place in the order of declaration. */
  tone: number;
  /** As it was written. */
  text: string;
  /** What that is in hundredths, if it is a share. */
  share: number | undefined;
  /** Why the version cannot take traffic. */
  none: string | undefined;
  /** What it would have with all that the others leave; none where nothing is off. */
  rest: number | undefined;
  onText: (text: string) => void;
  /** The shares are as somebody wants them. */
  onEnter: () => void;
}

export function ShareInput({ version, tone, text, share, none, rest, onText, onEnter }: ShareInputProps) {
  const id = useId();
  const words = t().actions.traffic;
  const { name, remark } = version;
  const isOff = none !== undefined && (share ?? 0) === 0;
  const isWrong = share === undefined;
  return (
    <div class="split-row">
      <div class="split-name">
        <span class={`swatch tone-${tone % TONES}`} aria-hidden="true" />
        <label for={id}>
          <b>{name}</b>
        </label>
        <StatusBadge version={version} />
        {remark !== undefined && <span class="quiet small">{remark}</span>}
        {none !== undefined && <span class="small">{none}</span>}
      </div>
      <input
        class="slider"
        type="range"
        min="0"
        max="100"
        step="1"
        value={percentOf(share ?? 0)}
        disabled={isOff}
        aria-label={words.slider(name)}
        aria-valuetext={percent(percentOf(share ?? 0))}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <span class="split-number">
        <input
          id={id}
          class="input number"
          inputmode="decimal"
          autocomplete="off"
          aria-label={words.share(name)}
          aria-invalid={isWrong ? true : undefined}
          aria-describedby={isWrong ? `${id}-error` : undefined}
          value={text}
          disabled={isOff}
          onInput={(event) => onText(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && onEnter()}
          onBlur={() => share !== undefined && onText(written(share))}
        />
        <span aria-hidden="true">%</span>
      </span>
      <span class="split-rest">
        {rest !== undefined && !isOff && (
          <Button
            kind="quiet"
            label={`${words.rest} ${percent(percentOf(rest))}: ${words.restTo(name)}`}
            onClick={() => onText(written(rest))}
          >
            {words.rest} {percent(percentOf(rest))}
          </Button>
        )}
      </span>
      {isWrong && (
        <p id={`${id}-error`} class="field-error split-error">
          {words.invalid}
        </p>
      )}
    </div>
  );
}
