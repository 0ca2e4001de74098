// A dialog of the browser's own: it keeps the focus inside, ends with Esc, and gives the focus back.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import { t } from "../i18n";
import { Button } from "./button";

export function Dialog({
  title,
  children,
  footer,
  onClose,
  wide = false,
  isBusy = false,
}: {
  title: string;
  children: ComponentChildren;
  footer?: ComponentChildren;
  onClose: () => void;
  wide?: boolean;
  /** While something is done that cannot be taken back by closing. */
  isBusy?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const isOver = useRef(false);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return undefined;
    const opener = document.activeElement;
    element.showModal();
    // The browser would choose the button that closes.
    heading.current?.focus();
    return () => {
      isOver.current = true;
      element.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!isBusy) onClose();
      }}
      // A browser closes a dialog at the second Esc, whatever the first one was answered.
      onClose={() => {
        if (!isOver.current) onClose();
      }}
    >
      <header class="dialog-head">
        <h2 id={id} tabIndex={-1} ref={heading}>
          {title}
        </h2>
        <Button kind="quiet" icon="cross" label={t().shell.close} onClick={onClose} busy={isBusy}>
          {""}
        </Button>
      </header>
      <div class="dialog-body">{children}</div>
      {footer !== undefined && <footer class="dialog-foot">{footer}</footer>}
    </dialog>
  );
}
