// What a change would do, before it is done.

import { useEffect, useRef } from "preact/hooks";

import type { KeyChange, Plan, Preview } from "../api/change";
import { count, percent } from "../format";
import { t } from "../i18n";
import { CodeBlock } from "../parts/code";
import { Notice } from "../parts/notice";
import { ShareChanges } from "../parts/share-change";
import { changesNothing, sharesText } from "./target";

export function Review({ preview, order }: { preview: Preview; order: readonly string[] }) {
  const texts = t().actions;
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that led here is gone: whoever goes by keyboard reads on where the change is told.
  useEffect(() => heading.current?.focus(), []);
  const { plan, diff, shares, warnings = [] } = preview;
  if (changesNothing(preview))
    return (
      <Notice title={texts.nothing} live>
        {texts.nothingHelp}
      </Notice>
    );
  const losers = shares.filter(({ before, after }) => after < before);
  const isMoved = shares.some(({ before, after }) => before !== after);
  const moves = plan.services.reduce((most, service) => Math.max(most, service.moves), 0);
  return (
    <>
      <h3 ref={heading} tabIndex={-1}>
        {texts.reviewTitle}
      </h3>
      {losers.length > 0 && (
        <Notice kind="warning" title={texts.takesAway} live>
          <p>
            {losers
              .map(({ version, before, after }) => texts.loses(version, percent(before), percent(after)))
              .join(" · ")}
          </p>
          <p>{texts.takesAwayHelp}</p>
        </Notice>
      )}
      {isMoved ? <ShareChanges shares={shares} order={order} /> : <p>{texts.sharesStay}</p>}
      {moves > 0 && <p>{texts.moves(percent(moves))}</p>}
      <Way preview={preview} />
      <PlanNotes plan={plan} />
      {warnings.map((warning) => (
        <Notice key={warning} kind="warning">
          {warning}
        </Notice>
      ))}
      {diff !== "" && (
        <details>
          <summary>{texts.inFile}</summary>
          <CodeBlock text={diff.trimEnd()} label={texts.inFile} isDiff />
        </details>
      )}
    </>
  );
}

/** Where a rollback goes. */
function Way({ preview: { restores, skipped = [], quarantines = [] } }: { preview: Preview }) {
  const texts = t().actions.rollback;
  return (
    <>
      {restores != null && <p>{texts.restores(count(restores))}</p>}
      {quarantines.length > 0 && <Notice kind="warning">{texts.quarantines(quarantines.join(", "))}</Notice>}
      {skipped.length > 0 && (
        <div>
          <p>{texts.skipped}</p>
          <ul class="keys">
            {skipped.map(({ generation, shares, reason, rolled_back_by, detail }) => (
              <li key={generation}>
                {texts.generation(count(generation), sharesText(shares))}
                {" · "}
                {reason === "cannot-serve"
                  ? detail
                  : texts.rolledBackFrom(rolled_back_by === undefined ? "" : count(rolled_back_by))}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

function PlanNotes({ plan }: { plan: Plan }) {
  const texts = t().actions;
  const others = plan.services.flatMap(({ keys, versions }) => [
    ...keys.map((change) => said(change, change.key)),
    ...versions.flatMap(({ version, keys }) => keys.map((change) => said(change, texts.keyOf(version, change.key)))),
  ]);
  return (
    <>
      {plan.services.map(({ environment, service, unreachable, serves_nothing, waits }) => (
        <div key={`${environment}/${service}`} class="plan-notes">
          {unreachable.length > 0 && <Notice>{texts.unreachable(unreachable.join(", "))}</Notice>}
          {serves_nothing && <Notice kind="warning">{texts.servesNothing}</Notice>}
          {waits != null && <Notice kind="warning">{texts.waits(waits)}</Notice>}
        </div>
      ))}
      {others.length > 0 && (
        <div>
          <h3>{texts.otherChanges}</h3>
          <ul class="keys">
            {others.map((text) => (
              <li key={text}>
                <code>{text}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

function said({ before, after }: KeyChange, name: string): string {
  if (before === null || before === undefined) return `+ ${name} = ${after ?? ""}`;
  if (after === null || after === undefined) return `− ${name} = ${before}`;
  return `${name}: ${before} → ${after}`;
}
