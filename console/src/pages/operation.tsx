// How far a deployment is, and how it ended. It goes on in the process, whoever watches it.

import { authorText } from "../actions/target";
import { api } from "../api/client";
import { deployments, type Operation as OperationDocument, type OperationError, type Step } from "../api/deploy";
import { serviceIn } from "../api/documents";
import { Refused } from "../api/problem";
import { t } from "../i18n";
import { LinkButton } from "../parts/button";
import { CodeBlock } from "../parts/code";
import { Icon } from "../parts/icon";
import { Failure, Loading, Notice } from "../parts/notice";
import { ShareChanges } from "../parts/share-change";
import { StatusBadge } from "../parts/status";
import { Time } from "../parts/time";
import { about, useResource } from "../resource";
import { link } from "../router";
import { Heading } from "./service/heading";

const STEPS: readonly Step[] = ["checking", "writing", "creating", "shifting"];

export function Operation({
  environment,
  service,
  operation: id,
}: {
  environment: string;
  service: string;
  operation: string;
}) {
  const texts = t().deploy;
  const concerns = about(environment, service);
  const operation = useResource(`operation ${id}`, (signal) => deployments.operation(id, signal), {
    every: 700,
    concerns,
  });
  const status = useResource(
    `operation of ${environment}/${service}`,
    (signal) => api.status({ environment, service }, signal),
    { concerns },
  );
  const document = operation.document.value;
  const failure = operation.failure.value;
  const version = serviceIn(status.document.value, environment, service)?.versions.find(
    ({ name }) => name === document?.version,
  );
  const isUnknown = failure instanceof Refused && failure.problem.status === 404;
  return (
    <>
      <Heading
        environment={environment}
        service={service}
        title={document === undefined ? texts.plan : texts.progress(document.version, service)}
      >
        {version !== undefined && <StatusBadge version={version} />}
      </Heading>
      {document === undefined && failure === undefined && <Loading />}
      {isUnknown ? (
        <Unknown environment={environment} service={service} />
      ) : (
        document === undefined && failure !== undefined && <Failure failure={failure} />
      )}
      {document !== undefined && <Progress document={document} />}
    </>
  );
}

function Unknown({ environment, service }: { environment: string; service: string }) {
  const texts = t().deploy;
  return (
    <Notice
      kind="warning"
      title={texts.isGone}
      actions={<LinkButton href={link({ page: "history", environment, service })}>{texts.toHistory}</LinkButton>}
    >
      {texts.isGoneHelp}
    </Notice>
  );
}

function Progress({ document }: { document: OperationDocument }) {
  const texts = t().deploy;
  const { state, user, began } = document;
  return (
    <>
      <p class="quiet">
        {texts.begunBy(user)} · <Time at={began} />
      </p>
      <Steps document={document} />
      <div aria-live="polite">
        {state === "running" && <Notice kind="info">{texts.leave}</Notice>}
        {state === "done" && <Done document={document} />}
        {state === "failed" && <Failed document={document} />}
      </div>
    </>
  );
}

type Stand = "done" | "now" | "later" | "failed" | "never";

/** Where each step stands. A deployment that moves no traffic ends without that step. */
function stand(document: OperationDocument, step: Step): Stand {
  if (document.state === "done") return "done";
  const [at, place] = [STEPS.indexOf(document.step), STEPS.indexOf(step)];
  if (document.step === "done" || place < at) return "done";
  const isOver = document.state === "failed";
  if (place > at) return isOver ? "never" : "later";
  return isOver ? "failed" : "now";
}

function Steps({ document }: { document: OperationDocument }) {
  const texts = t().deploy;
  const icons = { done: "check", now: "spin", later: "dot", failed: "cross", never: "dot" } as const;
  return (
    <ol class="steps">
      {STEPS.map((step) => {
        const at = stand(document, step);
        return (
          <li key={step} class={`step step-${at}`} aria-current={at === "now" ? "step" : undefined}>
            <Icon name={icons[at]} spin={at === "now"} />
            <span>{texts.step[step]}</span>
            <span class="quiet small">{texts.stepState[at]}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Done({ document }: { document: OperationDocument }) {
  const texts = t().deploy;
  const { environment, service, version, result } = document;
  return (
    <div class="result">
      <Notice kind="good" title={texts.isNormal(version)} />
      {result !== undefined && result.shares.length > 0 && (
        <ShareChanges shares={result.shares} order={result.shares.map((change) => change.version)} />
      )}
      {result?.warnings?.map((warning) => (
        <Notice key={warning} kind="warning">
          {warning}
        </Notice>
      ))}
      <div class="buttons">
        <LinkButton kind="primary" href={link({ page: "service", environment, service })}>
          {texts.open}
        </LinkButton>
        <LinkButton href={link({ page: "version", environment, service, version })}>
          {texts.toVersion(version)}
        </LinkButton>
      </div>
    </div>
  );
}

function Why({ error, title }: { error: OperationError; title: string }) {
  const texts = t().shell;
  const { code, message, help, fault, changed, diff } = error;
  const advice = fault?.suggestion ?? help;
  const detail = fault === undefined || message.includes(fault.detail) ? undefined : fault.detail;
  return (
    <>
      <Notice kind="error" title={title} live>
        <p>{message}</p>
        {detail !== undefined && <p>{detail}</p>}
        {advice !== undefined && <p>{texts.help(advice)}</p>}
        <p class="quiet">
          <code>{fault?.code ?? code}</code>
        </p>
      </Notice>
      {changed?.author != null && <p>{t().actions.conflictBy(authorText(changed.author))}</p>}
      {diff !== undefined && diff !== "" && <CodeBlock text={diff} label={t().actions.byHandDiff} isDiff />}
    </>
  );
}

function Failed({ document }: { document: OperationDocument }) {
  const texts = t().deploy;
  const { environment, service, version, error } = document;
  return (
    <div class="result">
      {error === undefined ? (
        <Notice kind="error" title={texts.failed(version)} />
      ) : (
        <Why error={error} title={texts.failed(version)} />
      )}
      <p>{texts.failedHelp}</p>
      <div class="buttons">
        <LinkButton kind="primary" href={link({ page: "new-version", environment, service }, { again: "1" })}>
          {texts.again}
        </LinkButton>
        <LinkButton href={link({ page: "service", environment, service })}>{texts.open}</LinkButton>
        <LinkButton href={link({ page: "history", environment, service })}>{texts.toHistory}</LinkButton>
      </div>
    </div>
  );
}
