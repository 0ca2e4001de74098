// Labelled inputs: the label, what helps, and what is wrong are tied to the input.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface FieldTies {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

export function Field({
  label,
  help,
  error,
  children,
}: {
  label: string;
  help?: string;
  error?: string | undefined;
  children: (ties: FieldTies) => ComponentChildren;
}) {
  const id = useId();
  const described = [help === undefined ? "" : `${id}-help`, error === undefined ? "" : `${id}-error`];
  const ties = {
    id,
    "aria-describedby": described.join(" ").trim() || undefined,
    "aria-invalid": error === undefined ? undefined : true,
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(ties)}
      {help !== undefined && (
        <p id={`${id}-help`} class="field-help">
          {help}
        </p>
      )}
      {error !== undefined && (
        <p id={`${id}-error`} class="field-error">
          {error}
        </p>
      )}
    </div>
  );
}

export function TextField({
  label,
  help,
  error,
  value,
  onInput,
  placeholder,
  type = "text",
  autoFocus = false,
  autocomplete = "off",
}: {
  label: string;
  help?: string;
  error?: string | undefined;
  value: string;
  onInput: (value: string) => void;
  placeholder?: string;
  type?: "text" | "password" | "search";
  autoFocus?: boolean;
  autocomplete?: string;
}) {
  return (
    <Field label={label} help={help} error={error}>
      {(ties) => (
        <input
          {...ties}
          class="input"
          // The types of Preact want one literal: all of them take the same attributes here.
          type={type as "text"}
          value={value}
          placeholder={placeholder}
          autocomplete={autocomplete}
          autofocus={autoFocus}
          spellcheck={false}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function Checkbox({
  label,
  help,
  checked,
  onChange,
}: {
  label: string;
  help?: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <div class="check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        aria-describedby={help === undefined ? undefined : `${id}-help`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {help !== undefined && (
        <p id={`${id}-help`} class="field-help">
          {help}
        </p>
      )}
    </div>
  );
}

export function Select({
  label,
  value,
  options,
  onChange,
  hideLabel = false,
}: {
  label: string;
  value: string;
  options: readonly { value: string; label: string }[];
  onChange: (value: string) => void;
  hideLabel?: boolean;
}) {
  const id = useId();
  return (
    <span class="select">
      <label for={id} class={hideLabel ? "said" : undefined}>
        {label}
      </label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value} selected={option.value === value}>
            {option.label}
          </option>
        ))}
      </select>
    </span>
  );
}
