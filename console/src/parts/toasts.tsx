// Messages about what was just done. The regions stand in the page from the start: readers only follow those.

import { signal } from "@preact/signals";

import { t } from "../i18n";
import { Button } from "./button";
import { Notice, type NoticeKind } from "./notice";

interface Toast {
  id: number;
  kind: NoticeKind;
  title: string;
  text?: string;
}

const toasts = signal<Toast[]>([]);
const aloud = signal("");
let last = 0;

/** Good news goes by itself; what went wrong stays until somebody has read it. */
const GOOD_FOR_MS = 8_000;

export function toast(kind: NoticeKind, title: string, text?: string): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, kind, title, ...(text === undefined ? {} : { text }) }];
  if (kind === "good" || kind === "info") setTimeout(() => drop(id), GOOD_FOR_MS);
}

/** Said to readers alone: others see it happen. */
export function announce(text: string): void {
  aloud.value = aloud.value === text ? `${text}\u00a0` : text;
}

function drop(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  const texts = t().shell;
  return (
    <>
      <div class="said" aria-live="polite" role="status">
        {aloud.value}
      </div>
      <section class="toasts" aria-live="polite" aria-label={texts.alerts}>
        {toasts.value.map(({ id, kind, title, text }) => (
          <Notice
            key={id}
            kind={kind}
            title={title}
            actions={
              <Button kind="quiet" icon="cross" label={texts.dismiss} onClick={() => drop(id)}>
                {""}
              </Button>
            }
          >
            {text}
          </Notice>
        ))}
      </section>
    </>
  );
}
