// How many users get another version by other shares.

import { useMemo } from "preact/hooks";

import type { ServiceDocument } from "../api/documents";
import { moved } from "../buckets";
import { percent } from "../format";
import { t } from "../i18n";
import type { Policy } from "../policy";
import { hundredths, type Move, moving, percentOf } from "../shares";

export function WhoMoves({
  service,
  policy,
  shares,
}: {
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
        <ByHash service={service} shares={shares} />
      )}
    </div>
  );
}

function ByHash({ service, shares }: { service: ServiceDocument; shares: ReadonlyMap<string, number> }) {
  const words = t().actions.traffic;
  const moves = service.versions.map(({ name, share }) => ({
    version: name,
    before: hundredths(share),
    after: shares.get(name) ?? 0,
  }));
  const { least, most, keep } = moving(moves);
  const exact = useMemo(() => exactly(moves), [JSON.stringify(moves)]);
  if (most === 0) return <p>{words.whoNone}</p>;
  const part = (share: number) => percent(percentOf(share));
  const isSure = exact !== undefined || least === most;
  return (
    <p>
      {isSure ? words.whoAll(part(exact ?? least)) : words.whoRange(part(least), part(most))}{" "}
      {keep.map(words.whoKeep).join(" ")}
    </p>
  );
}

function exactly(moves: readonly Move[]): number | undefined {
  const owners = (of: (move: Move) => number) => moves.map((move) => ({ name: move.version, share: of(move) }));
  return moved(
    owners(({ before }) => before),
    owners(({ after }) => after),
  );
}
