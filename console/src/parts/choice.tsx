// One of a few, each with a word on what it means.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Option<T extends string> {
  value: T;
  label: string;
  help?: string;
  /** Shown below while it is chosen. */
  more?: ComponentChildren;
}

export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      {options.map((option) => (
        <div key={option.value} class="choice-option">
          <input
            id={`${name}-${option.value}`}
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            aria-describedby={option.help === undefined ? undefined : `${name}-${option.value}-help`}
            onChange={() => onChange(option.value)}
          />
          <label for={`${name}-${option.value}`}>{option.label}</label>
          {option.help !== undefined && (
            <p id={`${name}-${option.value}-help`} class="field-help">
              {option.help}
            </p>
          )}
          {option.value === value && option.more !== undefined && <div class="choice-more">{option.more}</div>}
        </div>
      ))}
    </fieldset>
  );
}
