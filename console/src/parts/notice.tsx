// What a page has to say beside its figures, and errors with what to do.

import type { ComponentChildren } from "preact";

import { Refused, type Unreachable } from "../api/problem";
import { t } from "../i18n";
import { Icon, type IconName } from "./icon";

export type NoticeKind = "info" | "good" | "warning" | "error";

const ICONS: Record<NoticeKind, IconName> = { info: "info", good: "check", warning: "attention", error: "cross" };

export function Notice({
  kind = "info",
  title,
  children,
  actions,
  live = false,
}: {
  kind?: NoticeKind;
  title?: ComponentChildren;
  children?: ComponentChildren;
  actions?: ComponentChildren;
  /** Whether it appears while somebody reads: it is then said aloud. */
  live?: boolean;
}) {
  const role = !live ? undefined : kind === "error" ? "alert" : "status";
  return (
    <div class={`notice notice-${kind}`} role={role}>
      <Icon name={ICONS[kind]} />
      <div class="notice-text">
        {title !== undefined && <p class="notice-title">{title}</p>}
        {children !== undefined && <div class="notice-body">{children}</div>}
      </div>
      {actions !== undefined && <div class="notice-actions">{actions}</div>}
    </div>
  );
}

/** Why the API gave nothing: message, what to do, code, place. */
export function Failure({
  failure,
  actions,
  title,
}: {
  failure: Refused | Unreachable;
  actions?: ComponentChildren;
  title?: string;
}) {
  const texts = t().shell;
  if (!(failure instanceof Refused)) {
    return (
      <Notice kind="error" title={title ?? texts.connection.gone} actions={actions} live>
        {failure.message}
      </Notice>
    );
  }
  const { message, help, code, place, problems = [], left } = failure.problem;
  return (
    <Notice kind="error" title={title ?? texts.failed} actions={actions} live>
      <p>{message}</p>
      {left !== undefined && <p>{left}</p>}
      <Advice code={code} help={help} />
      {problems.length > 1 && (
        <ul>
          {problems.map((problem, at) => (
            <li key={at}>{`${problem.file}${problem.line === null ? "" : `:${problem.line}`}: ${problem.message}`}</li>
          ))}
        </ul>
      )}
      <p class="quiet">
        <code>{code}</code>
        {place !== undefined && <> · {`${place.file}${place.line === undefined ? "" : `:${place.line}`}`}</>}
      </p>
    </Notice>
  );
}

/** What to do, in the words of the console where it has some, and else in those of the process. */
function Advice({ code, help }: { code: string; help: string | undefined }) {
  const known: Readonly<Record<string, string>> = t().refusals;
  const advice = Object.hasOwn(known, code) ? known[code] : help;
  return advice === undefined ? null : <p>{t().shell.help(advice)}</p>;
}

/** Where there is nothing to show: says how to begin. */
export function Empty({
  title,
  children,
  isPage = false,
}: {
  title: string;
  children?: ComponentChildren;
  /** Whether it is all that the page has to say. */
  isPage?: boolean;
}) {
  return (
    <div class="empty">
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      <Icon name="spin" spin /> {t().shell.loading}
    </p>
  );
}
