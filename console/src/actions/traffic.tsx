// The traffic dialog: a slider and a number a version. It cannot be finished before they add up to exactly 100 %.

import { useState } from "preact/hooks";

import type { ServiceDocument, VersionDocument } from "../api/documents";
import { percent } from "../format";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { Icon } from "../parts/icon";
import { ShareBar } from "../parts/share-bar";
import { ALL, evenly, hundredths, missing, parseShare, percentOf, rest, written } from "../shares";
import { ChangeDialog } from "./change-dialog";
import { ShareInput } from "./share-input";
import type { Target } from "./target";
import { WhoMoves } from "./who-moves";

export function TrafficDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  const [base, setBase] = useState(target.service);
  const [texts, setTexts] = useState(() => textsOf(base));
  const [ready, setReady] = useState(0);
  const words = t().actions.traffic;
  const restart = (now: ServiceDocument) => {
    setBase(now);
    setTexts(textsOf(now));
  };
  const names = base.versions.map(({ name }) => name);
  const shares = new Map(names.map((name) => [name, parseShare(texts.get(name) ?? "")]));
  const known = new Map(names.map((name) => [name, shares.get(name) ?? 0]));
  const isNumber = [...shares.values()].every((share) => share !== undefined);
  const left = missing([...known.values()]);
  const isChanged =
    base.latest || base.versions.some(({ name, declared_share }) => known.get(name) !== hundredths(declared_share));
  const blocked = !isNumber
    ? words.wrongNumber
    : left !== 0
      ? deviation(left)
      : isChanged
        ? undefined
        : words.unchanged;
  const set = (name: string, text: string) => setTexts(new Map(texts).set(name, text));
  const setAll = (values: Map<string, number>) =>
    setTexts(new Map([...values].map(([name, share]) => [name, written(share)])));
  const takers = base.versions.filter((version) => whyNone(version) === undefined).map(({ name }) => name);
  const spread = () => {
    const parts = evenly(takers.length);
    setAll(new Map(names.map((name) => [name, parts[takers.indexOf(name)] ?? 0])));
  };
  const isQuarantined = base.versions.some(({ name, quarantined }) => quarantined && (known.get(name) ?? 0) > 0);
  return (
    <ChangeDialog
      title={words.title(base.name)}
      target={target}
      expect={base.file_digest}
      change={{
        action: "traffic",
        body: { shares: Object.fromEntries([...known].map(([name, share]) => [name, percentOf(share)])) },
      }}
      blocked={blocked}
      confirm={words.confirm}
      canForce={isQuarantined}
      ready={ready}
      onRestart={restart}
      onClose={onClose}
    >
      <p class="quiet">{words.intro}</p>
      {base.latest && <p>{words.latestNow}</p>}
      <div class="split">
        {base.versions.map((version, place) => (
          <ShareInput
            key={version.name}
            version={version}
            tone={place}
            text={texts.get(version.name) ?? ""}
            share={shares.get(version.name)}
            none={whyNone(version)}
            rest={left === 0 ? undefined : rest(known, version.name)}
            onText={(text) => set(version.name, text)}
            onEnter={() => setReady(ready + 1)}
          />
        ))}
      </div>
      <Sum left={left} isNumber={isNumber} />
      <ShareBar
        parts={names.map((version) => ({ version, share: percentOf(known.get(version) ?? 0) }))}
        legend={false}
      />
      <div class="buttons">
        {takers.length > 1 && <Button onClick={spread}>{words.evenly}</Button>}
        <Button icon="back" onClick={() => setTexts(textsOf(base))}>
          {words.reset}
        </Button>
      </div>
      {blocked === undefined && <WhoMoves service={base} policy={target.policy} shares={known} />}
    </ChangeDialog>
  );
}

function Sum({ left, isNumber }: { left: number; isNumber: boolean }) {
  const words = t().actions.traffic;
  const isExact = left === 0 && isNumber;
  return (
    <p class={isExact ? "sum sum-exact" : "sum sum-off"} role="status">
      <Icon name={isExact ? "check" : "attention"} />
      <span>
        {words.sum}: <b>{percent(percentOf(ALL - left))}</b>
      </span>
      <span>{isExact ? words.exact : isNumber ? deviation(left) : words.wrongNumber}</span>
    </p>
  );
}

function deviation(left: number): string {
  const words = t().actions.traffic;
  return left > 0 ? words.short(percent(percentOf(left))) : words.over(percent(percentOf(-left)));
}

/** What is declared, or what is served where everything goes to the newest. */
function textsOf(service: ServiceDocument): Map<string, string> {
  return new Map(service.versions.map(({ name, declared_share }) => [name, written(hundredths(declared_share))]));
}

function whyNone(version: VersionDocument): string | undefined {
  const words = t().actions.traffic.takesNone;
  if (version.status === "error") return words.error;
  if (version.status === "creating") return words.creating;
  return version.reach === "cutoff" ? words.cutoff : undefined;
}
