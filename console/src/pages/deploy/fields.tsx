// The fields of a new version.

import { t } from "../../i18n";
import { Choice } from "../../parts/choice";
import { Field, TextField } from "../../parts/field";
import { type Draft, type Field as FieldName, LIMITS, type Policy, type Source, type Wrong } from "./draft";
import { Upload } from "./upload";
import { Variables } from "./variables";

export interface Editing {
  draft: Draft;
  /** What to say about which field. */
  wrong: Map<FieldName, Wrong>;
  change: (part: Partial<Draft>) => void;
}

/** What an empty field means; `docs/configuration.md` has the same. */
const DEFAULTS: Record<string, string> = {
  memory: "128MiB",
  "cpu-time": "1s",
  "wall-time": "30s",
  "request-body": "16MiB",
  concurrency: "512",
  "queue-time": "100ms",
};

export function Fields({ draft, wrong, change }: Editing) {
  const texts = t().deploy;
  return (
    <>
      <TextField
        label={texts.name}
        help={texts.nameHelp}
        value={draft.name}
        error={said(wrong, "name")}
        onInput={(name) => change({ name })}
      />
      <Backend draft={draft} wrong={wrong} change={change} />
      {draft.source !== "upstream" && <Variables draft={draft} wrong={wrong} change={change} />}
      <Limits draft={draft} change={change} />
      <TextField
        label={texts.remark}
        help={texts.remarkHelp}
        value={draft.remark}
        onInput={(remark) => change({ remark })}
      />
      <Traffic draft={draft} wrong={wrong} change={change} />
    </>
  );
}

/** The text for what is wrong with a field, if anything is. */
export function said(wrong: Map<FieldName, Wrong>, field: FieldName): string | undefined {
  const what = wrong.get(field);
  return what === undefined ? undefined : t().deploy.wrong[what];
}

function Backend({ draft, wrong, change }: Editing) {
  const texts = t().deploy;
  const option = (value: Source, more: preact.ComponentChildren) => ({
    value,
    label: texts.sources[value],
    help: texts.sourceHelp[value],
    more,
  });
  return (
    <Choice
      label={texts.source}
      value={draft.source}
      onChange={(source) => change({ source })}
      options={[
        option(
          "upload",
          <Upload
            kept={draft.uploaded}
            error={said(wrong, "upload")}
            onUploaded={(uploaded) => change({ uploaded })}
          />,
        ),
        option(
          "file",
          <TextField
            label={texts.path}
            help={texts.pathHelp}
            value={draft.path}
            error={said(wrong, "path")}
            onInput={(path) => change({ path })}
          />,
        ),
        option(
          "upstream",
          <TextField
            label={texts.targets}
            help={texts.targetsHelp}
            placeholder="127.0.0.1:9001"
            value={draft.targets}
            error={said(wrong, "targets")}
            onInput={(targets) => change({ targets })}
          />,
        ),
      ]}
    />
  );
}

function Limits({ draft, change }: Pick<Editing, "draft" | "change">) {
  const texts = t().deploy;
  const keys = draft.source === "upstream" ? LIMITS.upstream : LIMITS.guest;
  return (
    <details class="more">
      <summary>{texts.limits}</summary>
      <p class="field-help">{texts.limitsHelp}</p>
      <div class="grid">
        {keys.map((key) => (
          <TextField
            key={key}
            label={texts.limit[key] ?? key}
            placeholder={DEFAULTS[key]}
            value={draft.limits[key] ?? ""}
            onInput={(value) => change({ limits: { ...draft.limits, [key]: value } })}
          />
        ))}
      </div>
    </details>
  );
}

function Traffic({ draft, wrong, change }: Editing) {
  const texts = t().deploy;
  const option = (value: Policy, more?: preact.ComponentChildren) => ({
    value,
    label: texts.policies[value],
    help: texts.policyHelp[value],
    more,
  });
  const share = (
    <Field label={texts.share} error={said(wrong, "share")}>
      {(ties) => (
        <span class="percent">
          <input
            {...ties}
            class="input"
            inputMode="decimal"
            autocomplete="off"
            value={draft.share}
            onInput={(event) => change({ share: event.currentTarget.value })}
          />
          <span aria-hidden="true">%</span>
        </span>
      )}
    </Field>
  );
  return (
    <Choice
      label={texts.traffic}
      value={draft.policy}
      onChange={(policy) => change({ policy })}
      options={[option("all"), option("share", share), option("keep")]}
    />
  );
}
