// Deployments of a service that go on, or that failed a short while ago: somebody may have left their page.

import { deployments, type Operation } from "../../api/deploy";
import { t } from "../../i18n";
import { LinkButton } from "../../parts/button";
import { Notice } from "../../parts/notice";
import { about, useResource } from "../../resource";
import { link } from "../../router";

/** How long a failure is told of. */
const TOLD_MS = 10 * 60_000;

export function Deployments({ environment, service }: { environment: string; service: string }) {
  const texts = t().deploy;
  const operations = useResource(`operations of ${environment}/${service}`, deployments.operations, {
    every: 5_000,
    concerns: about(environment, service),
  });
  const own = (operations.document.value?.operations ?? []).filter(
    (operation) => operation.environment === environment && operation.service === service,
  );
  return (
    <div class="notices" aria-live="polite">
      {own.filter(isTold).map(({ id, state, version, error }) => (
        <Notice
          key={id}
          kind={state === "failed" ? "error" : "info"}
          title={state === "failed" ? texts.failed(version) : texts.running(version)}
          actions={
            <LinkButton href={link({ page: "operation", environment, service, operation: id })}>
              {state === "failed" ? t().shell.details : texts.watch}
            </LinkButton>
          }
        >
          {error?.message}
        </Notice>
      ))}
    </div>
  );
}

function isTold({ state, began }: Operation): boolean {
  return state === "running" || (state === "failed" && Date.now() - Date.parse(began) < TOLD_MS);
}
