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
      {own.filter((operation) => isTold(operation, own)).map(({ id, state, version, error }) => (
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

/** A failure is told until it is old, or until the same version is deployed again. */
function isTold({ state, began, version }: Operation, own: readonly Operation[]): boolean {
  if (state !== "failed") return state === "running";
  const start = Date.parse(began);
  const isRetried = own.some((other) => other.version === version && Date.parse(other.began) > start);
  return !isRetried && Date.now() - start < TOLD_MS;
}
