// How many users get another version by other shares.

import type { ServiceDocument } from "../api/documents";
import { percent } from "../format";
import { t } from "../i18n";
import type { Policy } from "../policy";
import { hundredths, moving, percentOf } from "../shares";

export function WhoMoves({ service, policy, shares }: {
  service: ServiceDocument;
  policy: Policy | undefined;
  /** In hundredths, by version. */
  shares: ReadonlyMap<string, number>;
}) {
  const words = t().actions.traffic;
  return (
    <div class="who">
      <h3>{words.who}</h3>
      {policy?.sticky === undefined ? (
        <p>{words.whoRandom}</p>
      ) : policy.sticky.mode === "pin" ? (
        <p>{words.whoPin}</p>
      ) : (
        <p>{moved(service, shares)}</p>
      )}
    </div>
  );
}

function moved(service: ServiceDocument, shares: ReadonlyMap<string, number>): string {
  const words = t().actions.traffic;
  const moves = service.versions.map(({ name, share }) => ({
    version: name,
    before: hundredths(share),
    after: shares.get(name) ?? 0,
  }));
  const { least, most, keep } = moving(moves);
  if (most === 0) return words.whoNone;
  const part = (share: number) => percent(percentOf(share));
  const range = least === most ? words.whoAll(part(least)) : words.whoRange(part(least), part(most));
  return [range, ...keep.map(words.whoKeep)].join(" ");
}
