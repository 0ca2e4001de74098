// A new version of a service: what serves it, with what, and what happens to traffic. Nothing is done before its plan
// was shown.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Target } from "../actions/target";
import { Trouble } from "../actions/trouble";
import type { Preview } from "../api/change";
import { api } from "../api/client";
import { deployments } from "../api/deploy";
import { type ServiceDocument, serviceIn } from "../api/documents";
import { Refused, Unreachable } from "../api/problem";
import { count } from "../format";
import { t } from "../i18n";
import { ChangeButton, Button, LinkButton } from "../parts/button";
import { Failure, Loading, Notice } from "../parts/notice";
import { about, useResource } from "../resource";
import { go, link, place } from "../router";
import { type Draft, documentOf, emptyDraft, problemsOf } from "./deploy/draft";
import { Fields } from "./deploy/fields";
import { keep, kept } from "./deploy/kept";
import { PlanView } from "./deploy/plan";
import { Heading } from "./service/heading";

export function NewVersion({ environment, service }: { environment: string; service: string }) {
  const status = useResource(
    `new ${environment}/${service}`,
    (signal) => api.status({ environment, service }, signal),
    {
      concerns: about(environment, service),
    },
  );
  const document = serviceIn(status.document.value, environment, service);
  const failure = status.failure.value;
  const refresh = async (before: ServiceDocument) => {
    await status.refresh();
    return serviceIn(status.document.value, environment, service) ?? before;
  };
  return (
    <>
      <Heading environment={environment} service={service} title={t().deploy.title(service)} />
      {document === undefined && failure !== undefined && <Failure failure={failure} />}
      {document === undefined && failure === undefined && <Loading />}
      {document !== undefined && (
        <Form environment={environment} service={document} refresh={() => refresh(document)} />
      )}
    </>
  );
}

type Stage =
  { at: "form" } | { at: "planning" } | { at: "plan"; preview: Preview; expect?: string } | { at: "beginning" };

function Form({
  environment,
  service,
  refresh,
}: {
  environment: string;
  service: ServiceDocument;
  refresh: () => Promise<ServiceDocument>;
}) {
  const texts = t().deploy;
  const taken = service.versions.map(({ name }) => name);
  const [draft, setDraft] = useState<Draft>(() => {
    const again = place.peek().query.has("again") ? kept(environment, service.name) : undefined;
    return again ?? emptyDraft(taken);
  });
  const [isTried, setTried] = useState(false);
  const [stage, setStage] = useState<Stage>({ at: "form" });
  const [failure, setFailure] = useState<Refused | Unreachable>();
  const wrong = problemsOf(draft, taken);
  const form = useRef<HTMLFormElement>(null);
  const result = useRef<HTMLDivElement>(null);

  // The form is not shown any more, or not yet: the focus goes to what there is to read now.
  useEffect(() => {
    if (stage.at === "plan" || failure !== undefined) result.current?.focus();
  }, [stage.at, failure]);

  const attempt = async (work: () => Promise<void>) => {
    setFailure(undefined);
    try {
      await work();
    } catch (error) {
      setFailure(error instanceof Refused ? error : new Unreachable(String(error)));
      setStage({ at: "form" });
    }
  };
  const plan = (now: ServiceDocument) => {
    setTried(true);
    if (wrong.size > 0) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    const expect = now.file_digest;
    setStage({ at: "planning" });
    void attempt(async () => {
      const preview = await deployments.preview(environment, service.name, documentOf(draft), { expect });
      setStage({ at: "plan", preview, expect });
    });
  };
  const begin = (expect: string | undefined) => {
    setStage({ at: "beginning" });
    void attempt(async () => {
      keep(environment, service.name, draft);
      const { operation } = await deployments.begin(environment, service.name, documentOf(draft), { expect });
      go({ page: "operation", environment, service: service.name, operation });
    });
  };

  const target: Target = { environment, service, policy: undefined, refresh, apply: () => undefined };
  const isPlanned = stage.at === "plan" || stage.at === "beginning";
  return (
    <>
      <div ref={result} tabIndex={-1} class="result">
        <Trouble failure={failure} isMoved={false} target={target} onRestart={plan} />
        {stage.at === "plan" && (
          <>
            <h2>{texts.plan}</h2>
            <p>{texts.planHelp}</p>
            <PlanView preview={stage.preview} order={[...taken, draft.name]} />
            <div class="buttons">
              <ChangeButton kind="primary" onClick={() => begin(stage.expect)}>
                {texts.begin}
              </ChangeButton>
              <Button onClick={() => setStage({ at: "form" })}>{texts.edit}</Button>
            </div>
          </>
        )}
        {stage.at === "beginning" && <Loading />}
      </div>
      {!isPlanned && (
        <form
          ref={form}
          class="form"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (stage.at === "form") plan(service);
          }}
        >
          <Fields
            draft={draft}
            wrong={isTried ? wrong : new Map()}
            change={(part) => setDraft({ ...draft, ...part })}
          />
          {isTried && wrong.size > 0 && (
            <Notice kind="error" live>
              {texts.incomplete(count(wrong.size))}
            </Notice>
          )}
          <div class="buttons">
            <ChangeButton kind="primary" type="submit" busy={stage.at === "planning"}>
              {texts.showPlan}
            </ChangeButton>
            <LinkButton href={link({ page: "service", environment, service: service.name })}>
              {t().shell.cancel}
            </LinkButton>
          </div>
        </form>
      )}
    </>
  );
}
