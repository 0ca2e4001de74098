// Chooses a component, sends it at once, and shows how far it is.

import { useEffect, useRef, useState } from "preact/hooks";

import { upload, type Uploaded } from "../../api/deploy";
import { Refused, Unreachable } from "../../api/problem";
import { bytes, percent, shortDigest } from "../../format";
import { t } from "../../i18n";
import { Button } from "../../parts/button";
import { Field } from "../../parts/field";
import { Icon } from "../../parts/icon";
import { Failure } from "../../parts/notice";

type State =
  | { at: "none" }
  | { at: "sending"; name: string; part: number }
  | { at: "sent"; name: string; uploaded: Uploaded }
  | { at: "failed"; failure: Refused | Unreachable };

/** `onUploaded` hears of the digest, or of none where another file was chosen. */
export function Upload({
  kept,
  error,
  onUploaded,
}: {
  /** The digest of what was uploaded before. */
  kept: string | undefined;
  error: string | undefined;
  onUploaded: (digest: string | undefined) => void;
}) {
  const texts = t().deploy;
  const [state, setState] = useState<State>({ at: "none" });
  const running = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const send = async (file: File | undefined) => {
    running.current?.abort();
    onUploaded(undefined);
    if (file === undefined) {
      setState({ at: "none" });
      return;
    }
    const control = new AbortController();
    running.current = control;
    const progress = (part: number) => {
      if (!control.signal.aborted) setState({ at: "sending", name: file.name, part });
    };
    progress(0);
    try {
      const uploaded = await upload(file, progress, control.signal);
      if (control.signal.aborted) return;
      setState({ at: "sent", name: file.name, uploaded });
      onUploaded(uploaded.digest);
    } catch (failure) {
      if (control.signal.aborted) return;
      setState({ at: "failed", failure: failure instanceof Refused ? failure : new Unreachable(String(failure)) });
    }
  };
  const cancel = () => {
    running.current?.abort();
    onUploaded(undefined);
    setState({ at: "none" });
  };

  return (
    <div class="upload">
      <Field label={texts.component} error={state.at === "none" || state.at === "failed" ? error : undefined}>
        {(ties) => (
          <span class="file">
            <input
              {...ties}
              class="said"
              type="file"
              accept=".wasm,application/wasm"
              onChange={(event) => void send(event.currentTarget.files?.[0])}
            />
            {/* A browser writes its own button in its own language. */}
            <label class="button" for={ties.id}>
              <Icon name="up" />
              {texts.choose}
            </label>
          </span>
        )}
      </Field>
      {state.at === "sending" && (
        <div class="sending">
          <progress max={1} value={state.part} aria-label={texts.uploading(state.name, "")} />
          <span>{texts.uploading(state.name, percent(Math.floor(state.part * 100)))}</span>
          <Button kind="quiet" icon="cross" onClick={cancel}>
            {texts.cancelUpload}
          </Button>
        </div>
      )}
      <p class="field-help" role="status">
        {state.at === "none" && kept !== undefined && texts.stillUploaded(shortDigest(kept))}
        {state.at === "sent" &&
          texts.uploaded(state.name, bytes(state.uploaded.bytes), shortDigest(state.uploaded.digest))}
      </p>
      {state.at === "failed" && <Failure failure={state.failure} title={texts.uploadFailed} />}
    </div>
  );
}
