// A figure that may not be there yet: said so, and not shown as 0.

import { t } from "../i18n";

export function Figure({ value, show }: { value: number | undefined; show: (value: number) => string }) {
  if (value !== undefined) return <>{show(value)}</>;
  return (
    <span class="quiet" title={t().units.noRequestsHelp}>
      <span aria-hidden="true">{t().shell.notYet}</span>
      <span class="said">{t().units.noRequests}</span>
    </span>
  );
}
