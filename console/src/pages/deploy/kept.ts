// The form of the last deployment, for whoever tries it again. It ends with the page.

import type { Draft } from "./draft";

let last: { environment: string; service: string; draft: Draft } | undefined;

export function keep(environment: string, service: string, draft: Draft): void {
  last = { environment, service, draft };
}

/** The form that was sent last, if it was for this service. */
export function kept(environment: string, service: string): Draft | undefined {
  return last?.environment === environment && last.service === service ? last.draft : undefined;
}
