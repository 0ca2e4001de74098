// A document that a page shows: read at once, again when the process announces a change of it, and now and then for
// figures. The last one stays while the next one is read, and an answer that is overtaken is dropped.

import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { Refused, Unreachable } from "./api/problem";
import { type Announced, announced, answered, unanswered } from "./live";

export interface Resource<T> {
  document: ReadonlySignal<T | undefined>;
  /** Why the last try gave no document; the one before may still be shown. */
  failure: ReadonlySignal<Refused | Unreachable | undefined>;
  refresh: () => Promise<void>;
  /** Shows something at once that the next answer will say too. */
  amend: (change: (document: T) => T) => void;
}

export interface Following {
  /** Milliseconds between two reads; none where only announcements matter. */
  every?: number;
  /** Whether an announcement is about it; by default every one is. */
  concerns?: (what: Announced) => boolean;
}

class Reading<T> implements Resource<T> {
  readonly document = signal<T | undefined>(undefined);
  readonly failure = signal<Refused | Unreachable | undefined>(undefined);
  private running: AbortController | undefined;
  private last: Promise<void> | undefined;

  constructor(private readonly fetcher: (signal: AbortSignal) => Promise<T>) {}

  /** Ends once the document is at least as new as the call, also where another reading has overtaken this one. */
  refresh = async (): Promise<void> => {
    this.running?.abort();
    const control = new AbortController();
    this.running = control;
    let awaited: Promise<void> | undefined;
    this.last = this.read(control);
    while (awaited !== this.last) {
      awaited = this.last;
      await awaited;
    }
  };

  private async read(control: AbortController): Promise<void> {
    try {
      const document = await this.fetcher(control.signal);
      if (control.signal.aborted) return;
      this.document.value = document;
      this.failure.value = undefined;
      answered(generationIn(document));
    } catch (error) {
      if (control.signal.aborted) return;
      this.fail(error);
    }
  }

  amend = (change: (document: T) => T): void => {
    if (this.document.value !== undefined) this.document.value = change(this.document.value);
  };

  stop(): void {
    this.running?.abort();
  }

  private fail(error: unknown): void {
    if (error instanceof Refused) answered();
    else unanswered();
    this.failure.value = error instanceof Refused ? error : new Unreachable(String(error));
  }
}

function generationIn(document: unknown): number | undefined {
  if (typeof document !== "object" || document === null || !("generation" in document)) return undefined;
  return typeof document.generation === "number" ? document.generation : undefined;
}

/** Follows a document as long as the component is shown. `key` says which one: another key is another document. */
export function useResource<T>(
  key: string,
  fetcher: (signal: AbortSignal) => Promise<T>,
  { every, concerns }: Following = {},
): Resource<T> {
  const reading = useMemo(() => new Reading(fetcher), [key]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      clearTimeout(timer);
      await reading.refresh();
      clearTimeout(timer);
      if (every !== undefined) timer = setTimeout(() => void (document.hidden ? undefined : read()), every);
    };
    const onVisible = () => void (document.hidden ? undefined : read());
    let last = announced.peek().tick;
    const forget = announced.subscribe((what) => {
      if (what.tick === last) return;
      last = what.tick;
      if (concerns === undefined || concerns(what)) void read();
    });
    document.addEventListener("visibilitychange", onVisible);
    void read();
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
      forget();
      reading.stop();
    };
  }, [reading]);
  return reading;
}

/** Whether an announcement may be about a service. */
export function about(environment: string, service: string): (what: Announced) => boolean {
  return (what) =>
    (what.environment === undefined || what.environment === environment) &&
    (what.service === undefined || what.service === service);
}
