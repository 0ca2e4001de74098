// The version that a request gets, and every step that led to it.

import type { Explanation, RuleStep, StickyStep } from "../../api/explanation";
import { count, percent } from "../../format";
import { t } from "../../i18n";
import { Section } from "../../parts/facts";
import { Notice } from "../../parts/notice";
import { ShareBar } from "../../parts/share-bar";
import { Badge } from "../../parts/status";

export function Answer({ explanation }: { explanation: Explanation }) {
  const texts = t().explain;
  const { version, failure, decision, distribution, generation, held } = explanation;
  const title =
    failure !== undefined ? texts.getsNone(failure) : version !== undefined ? texts.gets(version) : texts.getsOne;
  const unhealthy = distribution.filter((chance) => chance.unhealthy === true);
  return (
    <Section title={title}>
      <p>{texts.why(decided(decision))}</p>
      {distribution.length > 1 && <ShareBar parts={distribution} />}
      {unhealthy.map((chance) => (
        <Notice key={chance.version} kind="warning">{`${chance.version}: ${texts.unhealthy}`}</Notice>
      ))}
      {held !== undefined && (
        <Notice kind="warning" title={texts.held}>
          {held}
        </Notice>
      )}
      <h3>{texts.steps}</h3>
      <Steps explanation={explanation} />
      {generation !== undefined && <p class="quiet">{texts.generation(count(generation))}</p>}
    </Section>
  );
}

function decided(decision: string): string {
  const texts = t().explain;
  const rule = /^rule:(.*)$/.exec(decision);
  return rule === null ? (texts.decisions[decision] ?? decision) : texts.rule(rule[1] ?? "");
}

/** Decisions in which the shares have a part. */
const BY_SHARES = ["random", "sticky", "latest", "offline"];

function Steps({ explanation }: { explanation: Explanation }) {
  const texts = t().explain;
  const { override: wish, rules = [], sticky, distribution, decision } = explanation;
  return (
    <ol class="explained">
      <li>
        <b>{texts.stepNames.override}</b>
        {wish === undefined ? (
          <p class="quiet">{texts.noOverride}</p>
        ) : (
          <>
            <Badge
              tone={wish.result === "granted" ? "good" : "warning"}
              icon={wish.result === "granted" ? "check" : "cross"}
            >
              {`${wish.version}: ${texts.results[wish.result] ?? wish.result}`}
            </Badge>
            <p>{wish.why}</p>
          </>
        )}
      </li>
      {rules.length === 0 && wish?.result !== "granted" && (
        <li>
          <b>{texts.stepNames.rules}</b>
          <p class="quiet">{texts.noRules}</p>
        </li>
      )}
      {rules.map((rule) => (
        <Rule key={rule.name} rule={rule} />
      ))}
      {sticky !== undefined &&
        (BY_SHARES.includes(decision) || sticky.bucket !== undefined || sticky.pinned !== undefined) && (
          <li>
            <b>{texts.stepNames.sticky}</b>
            <p>{stuck(sticky)}</p>
            {sticky.hash !== undefined && (
              <p class="quiet">
                <code>{sticky.hash}</code>
              </p>
            )}
          </li>
        )}
      {BY_SHARES.includes(decision) && (
        <li>
          <b>{texts.stepNames.shares}</b>
          <p>{distribution.map(({ version, share }) => `${version} ${percent(share)}`).join(", ") || t().shell.none}</p>
        </li>
      )}
    </ol>
  );
}

function Rule({ rule: { name, matches, decides, why } }: { rule: RuleStep }) {
  const texts = t().explain;
  const word = decides ? texts.matches : matches ? texts.matchesOnly : texts.matchesNot;
  return (
    <li>
      <b>{texts.stepNames.rule(name)}</b>
      <Badge tone={decides ? "good" : "idle"} icon={decides ? "check" : matches ? "dot" : "cross"}>
        {word}
      </Badge>
      <p>{why}</p>
    </li>
  );
}

function stuck({ key, bucket, pinned }: StickyStep): string {
  const texts = t().explain;
  if (pinned !== undefined) return texts.pinned(key, pinned);
  return bucket === undefined ? texts.noKey(key) : texts.bucket(key, count(bucket));
}
