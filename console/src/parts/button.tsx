// Buttons, and links that look like them.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

import { t } from "../i18n";
import { mayChange } from "../session";
import { Icon, type IconName } from "./icon";

export interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: "plain" | "primary" | "danger" | "quiet";
  icon?: IconName;
  type?: "button" | "submit";
  /** Why it cannot be pressed now. It stays reachable by keyboard, so that the reason can be read. */
  blocked?: string | undefined;
  busy?: boolean;
  /** Said instead of the text, where the text alone says too little. */
  label?: string;
}

export function Button({
  children,
  onClick,
  kind = "plain",
  icon,
  type = "button",
  blocked,
  busy,
  label,
}: ButtonProps) {
  const id = useId();
  const isOff = blocked !== undefined || busy === true;
  return (
    <span class="button-place">
      <button
        class={`button button-${kind}`}
        type={type}
        aria-label={label}
        aria-disabled={isOff}
        aria-busy={busy}
        aria-describedby={blocked === undefined ? undefined : id}
        title={blocked}
        onClick={(event) => {
          if (isOff) event.preventDefault();
          else onClick?.();
        }}
      >
        {busy === true ? <Icon name="spin" spin /> : icon !== undefined && <Icon name={icon} />}
        {children}
      </button>
      {blocked !== undefined && (
        <span id={id} class="said">
          {blocked}
        </span>
      )}
    </span>
  );
}

/** A button that changes something: a viewer sees it, and why it does nothing. */
export function ChangeButton(props: ButtonProps) {
  const blocked = props.blocked ?? (mayChange.value ? undefined : t().shell.viewerShort);
  return <Button {...props} blocked={blocked} />;
}

/** A link to where one changes something: a viewer gets a button that says why it leads nowhere. */
export function ChangeLink({ href, children, icon }: { href: string; children: ComponentChildren; icon: IconName }) {
  if (!mayChange.value) return <ChangeButton icon={icon}>{children}</ChangeButton>;
  return (
    <LinkButton icon={icon} href={href}>
      {children}
    </LinkButton>
  );
}

export function LinkButton({
  href,
  children,
  icon,
  kind = "plain",
}: {
  href: string;
  children: ComponentChildren;
  icon?: IconName;
  kind?: "plain" | "primary" | "quiet";
}) {
  return (
    <a class={`button button-${kind}`} href={href}>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </a>
  );
}

/** A link out of the console, to an address that the API gives. Anything but HTTP is text: `javascript:` runs here. */
export function Outward({ url, children, class: style }: { url: string; children: ComponentChildren; class?: string }) {
  if (!isWeb(url)) return <span class={style}>{children}</span>;
  return (
    <a class={style} href={url} target="_blank" rel="noopener noreferrer">
      {children}
      <Icon name="external" />
      <span class="said"> ({t().shell.newWindow})</span>
    </a>
  );
}

function isWeb(url: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
