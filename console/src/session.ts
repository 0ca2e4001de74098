// Who is at the console, and what they may do.

import { computed, signal } from "@preact/signals";

import { api, useCsrf, whenSessionChanges } from "./api/client";
import type { Session } from "./api/documents";
import { Refused } from "./api/problem";
import { pause, retryNow } from "./live";

export type Visit =
  { state: "asking" } | { state: "needed" } | { state: "open"; session: Session } | { state: "failed"; why: string };

export const visit = signal<Visit>({ state: "asking" });

/** Whether this person may change anything. The process decides; here it only spares a refusal. */
export const mayChange = computed(() => visit.value.state === "open" && visit.value.session.role === "operator");

export async function openSession(): Promise<void> {
  whenSessionChanges({
    over: () => {
      pause();
      visit.value = { state: "needed" };
    },
    doubt: () => void lookAgain(),
  });
  for (let wait = 250; ; wait = Math.min(wait * 2, 5_000)) {
    try {
      enter(await api.session());
      return;
    } catch (error) {
      if (error instanceof Refused) {
        visit.value =
          error.problem.status === 401 ? { state: "needed" } : { state: "failed", why: error.problem.message };
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Whoever tries once more then does so by what the session is now. */
async function lookAgain(): Promise<void> {
  try {
    enter(await api.session());
  } catch {
    // What was refused is shown; the next request finds out what else is wrong.
  }
}

/** Goes on with a session: at the beginning, or after somebody has logged in. */
export function enter(session: Session): void {
  useCsrf(session.csrf);
  visit.value = { state: "open", session };
  retryNow();
}

export async function leave(): Promise<void> {
  pause();
  await api.logout();
  useCsrf(undefined);
  visit.value = { state: "needed" };
}
