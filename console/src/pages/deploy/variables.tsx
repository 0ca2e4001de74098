// Environment variables, a line each.

import { useRef } from "preact/hooks";

import { count } from "../../format";
import { t } from "../../i18n";
import { Button } from "../../parts/button";
import { said, type Editing } from "./fields";

export function Variables({ draft, wrong, change }: Editing) {
  const texts = t().deploy;
  const list = useRef<HTMLFieldSetElement>(null);
  const { env } = draft;
  const put = (place: number, part: Partial<(typeof env)[number]>) =>
    change({ env: env.map((variable, at) => (at === place ? { ...variable, ...part } : variable)) });
  const focusLast = () =>
    requestAnimationFrame(() =>
      [...(list.current?.querySelectorAll<HTMLElement>("[data-name]") ?? [])].at(-1)?.focus(),
    );
  const remove = (place: number) => {
    change({ env: env.filter((_, at) => at !== place) });
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(".add button")?.focus());
  };
  return (
    <fieldset class="variables" ref={list}>
      <legend>{texts.env}</legend>
      <p class="field-help">{texts.envHelp}</p>
      {env.map(({ name, value }, place) => {
        const error = said(wrong, `env-${place}`);
        const id = `env-${place}-error`;
        return (
          <div key={place} class="variable">
            <input
              class="input"
              data-name
              aria-label={texts.envName(count(place + 1))}
              aria-invalid={error === undefined ? undefined : true}
              aria-describedby={error === undefined ? undefined : id}
              autocomplete="off"
              spellcheck={false}
              placeholder="NAME"
              value={name}
              onInput={(event) => put(place, { name: event.currentTarget.value })}
            />
            <input
              class="input"
              aria-label={texts.envValue(count(place + 1))}
              autocomplete="off"
              spellcheck={false}
              value={value}
              onInput={(event) => put(place, { value: event.currentTarget.value })}
            />
            <Button
              kind="quiet"
              icon="trash"
              label={texts.removeVariable(name === "" ? texts.envName(count(place + 1)) : name)}
              onClick={() => remove(place)}
            >
              {""}
            </Button>
            {error !== undefined && (
              <p id={id} class="field-error">
                {error}
              </p>
            )}
          </div>
        );
      })}
      <span class="add">
        <Button
          icon="plus"
          onClick={() => {
            change({ env: [...env, { name: "", value: "" }] });
            focusLast();
          }}
        >
          {texts.addVariable}
        </Button>
      </span>
    </fieldset>
  );
}
