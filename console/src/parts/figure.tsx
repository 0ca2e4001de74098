// A figure that may not be there yet: said so, and not shown as 0.

import { t } from "../i18n";

export function Figure({
  value,
  show,
  isEarly = false,
}: {
  value: number | undefined;
  show: (value: number) => string;
  /** Whether it is missing because too little time has passed, and not because there were no requests. */
  isEarly?: boolean;
}) {
  if (value !== undefined) return <>{show(value)}</>;
  const { units, shell } = t();
  if (isEarly)
    return (
      <span class="quiet small" title={units.tooEarlyHelp}>
        {units.tooEarly}
      </span>
    );
  return (
    <span class="quiet" title={units.noRequestsHelp}>
      <span aria-hidden="true">{shell.notYet}</span>
      <span class="said">{units.noRequests}</span>
    </span>
  );
}
