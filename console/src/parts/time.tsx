// A moment as people say it, and exactly where somebody points at it or goes to it by keyboard.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { ago, exactly } from "../format";

/** Ticks while a time is shown, for all of them together. */
const now = signal(Date.now());
let shown = 0;
let timer: ReturnType<typeof setInterval> | undefined;

export function Time({ at }: { at: string }) {
  useEffect(() => {
    shown += 1;
    timer ??= setInterval(() => (now.value = Date.now()), 5_000);
    return () => {
      shown -= 1;
      if (shown === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    };
  }, []);
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) return <span>{at}</span>;
  return (
    <time class="time" dateTime={at} tabIndex={0} data-exact={exactly(moment)}>
      {ago(moment, Math.max(now.value, moment.getTime()))}
    </time>
  );
}
