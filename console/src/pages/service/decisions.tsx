// What decides about a request, in the order in which it is asked, and how often each did.

import type { ComponentChildren } from "preact";

import { askMetrics } from "../../api/metrics";
import { count } from "../../format";
import { t } from "../../i18n";
import { decisionsOf, type Policy, type Rule } from "../../policy";
import { useResource } from "../../resource";

export function Decisions({
  environment,
  service,
  policy,
  latest,
}: {
  environment: string;
  service: string;
  policy: Policy;
  latest: boolean;
}) {
  const texts = t().service;
  const metrics = useResource(`metrics ${environment}/${service}`, askMetrics, {
    every: 15_000,
    concerns: () => false,
  });
  const text = metrics.document.value;
  const counts = text === undefined ? undefined : decisionsOf(text, environment, service);
  const of = (decision: string) => (counts === undefined ? undefined : (counts.get(decision) ?? 0));
  const ways = overrides(policy);
  const { sticky, pick } = policy;
  return (
    <section class="section">
      <h2>{texts.order}</h2>
      <p class="quiet">{texts.orderHelp}</p>
      <ol class="deciders">
        <Decider name={texts.override} count={of("override")} isOff={ways.length === 0}>
          {ways.length === 0
            ? texts.overrideOff
            : [...ways, ...(policy.override.secret ? [texts.overrideSecret] : [])].join(" · ")}
        </Decider>
        {policy.rules.map((rule) => (
          <Decider key={rule.name} name={texts.rule(rule.name)} count={of(`rule:${rule.name}`)}>
            <RuleText rule={rule} />
          </Decider>
        ))}
        <Decider name={texts.sticky} count={of("sticky")} isOff={sticky === undefined}>
          {sticky === undefined
            ? texts.stickyOff
            : `${texts.stickyKey(sticky.key)}, ${sticky.mode === "pin" ? texts.stickyMode.pin : texts.stickyMode.hash}`}
        </Decider>
        <Decider name={texts.shares} count={of(latest ? "latest" : "random")}>
          {latest ? texts.sharesLatest : pick === "smooth" ? texts.sharesSmooth : texts.sharesRandom}
        </Decider>
      </ol>
    </section>
  );
}

function Decider({
  name,
  count: times,
  isOff = false,
  children,
}: {
  name: string;
  count: number | undefined;
  isOff?: boolean;
  children: ComponentChildren;
}) {
  return (
    <li class={isOff ? "decider decider-off" : "decider"}>
      <b>{name}</b>
      <div>{children}</div>
      {times !== undefined && !isOff && <span class="quiet small">{t().service.decided(count(times))}</span>}
    </li>
  );
}

function RuleText({ rule }: { rule: Rule }) {
  const texts = t().service;
  const target = rule.version ?? rule.split.map(({ version, share }) => `${version} ${share}\u00a0%`).join(", ");
  return (
    <>
      {rule.match.length === 0
        ? texts.ruleAll
        : rule.match.map(({ key, pattern }, place) => (
            <span key={key}>
              {place > 0 && " + "}
              <code>
                {key} = {pattern}
              </code>
            </span>
          ))}
      {" → "}
      {texts.ruleTo(target)}, {rule.otherwise === "fail" ? texts.ruleFail : texts.ruleNext}
    </>
  );
}

function overrides({ override }: Policy): string[] {
  const texts = t().service.overrideBy;
  return [
    ...(override.header ? [texts.header] : []),
    ...(override.query === undefined ? [] : [texts.query(override.query)]),
    ...(override.cookie === undefined ? [] : [texts.cookie(override.cookie)]),
    ...(override.previewDomains ? [texts.preview] : []),
  ];
}
