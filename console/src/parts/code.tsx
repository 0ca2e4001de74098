// Text to be copied: a command, a file, a diff.

import { useState } from "preact/hooks";

import { t } from "../i18n";
import { announce } from "./toasts";
import { Button } from "./button";

export function CodeBlock({ text, label, isDiff = false }: { text: string; label: string; isDiff?: boolean }) {
  return (
    <div class="code">
      <CopyButton text={text} label={label} />
      <pre tabIndex={0} aria-label={label}>
        {isDiff ? text.split("\n").map((line, place) => <DiffLine key={place} line={line} />) : text}
      </pre>
    </div>
  );
}

function DiffLine({ line }: { line: string }) {
  const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : undefined;
  // The places between the changes are the only words of a diff that are not the file's.
  const place = /^line (\d+):$/.exec(line)?.[1];
  const shown = place === undefined ? line : t().shell.line(place);
  return <span class={kind === undefined ? "line" : `line line-${kind}`}>{`${shown}\n`}</span>;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const texts = t().shell;
  const copy = async () => {
    if (!(await toClipboard(text))) return;
    setCopied(true);
    announce(texts.copied);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <Button kind="quiet" icon={copied ? "check" : "copy"} label={`${texts.copy}: ${label}`} onClick={() => void copy()}>
      {copied ? texts.copied : texts.copy}
    </Button>
  );
}

/** Without TLS and beyond loopback there is no clipboard interface: there the browser's old way still works. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
