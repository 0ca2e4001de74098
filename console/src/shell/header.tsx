// The head of every page: where one is, where one can go, how the process does, and what one has chosen.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { api } from "../api/client";
import { t } from "../i18n";
import { Icon } from "../parts/icon";
import { Select } from "../parts/field";
import { Button } from "../parts/button";
import { go, link, place } from "../router";
import { leave, visit } from "../session";
import { type Language, language, type Theme, theme } from "../settings";
import { toast } from "../parts/toasts";
import { ConnectionState } from "./connection";

/** The environments that the last list of services told of. */
export const environments = signal<string[]>([]);

/** Knows the environments where somebody has begun at another page than the list. */
async function findEnvironments(): Promise<void> {
  try {
    const { services } = await api.services();
    environments.value = [...new Set(services.map(({ environment }) => environment))];
  } catch {
    // The list of services says what is wrong, where somebody looks at it.
  }
}

export function Header() {
  const texts = t().shell;
  const isOpen = visit.value.state === "open";
  const { route } = place.value;
  return (
    <header class="head">
      <a class="brand" href={link({ page: "services" })} aria-label={texts.product}>
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="brand-ground" />
          <path d="M16 5v8c0 4-7 5-7 13M16 13c0 4 7 5 7 13" class="brand-line" />
        </svg>
        <span>{texts.product}</span>
      </a>
      {isOpen && (
        <nav class="nav" aria-label={texts.navigation}>
          <a href={link({ page: "services" })} aria-current={route.page === "services" ? "page" : undefined}>
            {texts.services}
          </a>
          <a href={link({ page: "configuration" })} aria-current={route.page === "configuration" ? "page" : undefined}>
            {texts.configuration}
          </a>
        </nav>
      )}
      {isOpen && <EnvironmentChoice />}
      {isOpen && <Search />}
      <div class="head-end">
        {isOpen && <ConnectionState />}
        <Select
          label={texts.theme}
          hideLabel
          value={theme.value}
          options={(["auto", "light", "dark"] as const).map((value) => ({ value, label: texts.themes[value] }))}
          onChange={(value) => (theme.value = value as Theme)}
        />
        <Select
          label={texts.language}
          hideLabel
          value={language.value}
          options={[
            { value: "en", label: "English" },
            { value: "zh", label: "中文" },
          ]}
          onChange={(value) => (language.value = value as Language)}
        />
        <Person />
      </div>
    </header>
  );
}

function EnvironmentChoice() {
  const texts = t().shell;
  const { route } = place.value;
  const chosen = "environment" in route ? route.environment : undefined;
  const known = environments.value;
  useEffect(() => {
    if (known.length === 0 && place.peek().route.page !== "services") void findEnvironments();
  }, []);
  const all = chosen === undefined || known.includes(chosen) ? known : [...known, chosen];
  return (
    <Select
      label={texts.environment}
      hideLabel
      value={chosen ?? ""}
      options={[{ value: "", label: texts.allEnvironments }, ...all.map((name) => ({ value: name, label: name }))]}
      onChange={(value) => go({ page: "services", ...(value === "" ? {} : { environment: value }) })}
    />
  );
}

/** Finds services from every page: Enter opens the list with what was written. */
function Search() {
  const texts = t().services;
  const { route } = place.value;
  if (route.page === "services") return null;
  return (
    <form
      role="search"
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        const text = new FormData(event.currentTarget).get("q");
        go({ page: "services" }, { q: String(text ?? "") });
      }}
    >
      <Icon name="search" />
      <input
        class="input"
        type="search"
        name="q"
        aria-label={texts.search}
        placeholder={texts.search}
        autocomplete="off"
      />
    </form>
  );
}

function Person() {
  const texts = t().shell;
  const state = visit.value;
  if (state.state !== "open" || state.session.authentication === "none") return null;
  const { name, role } = state.session;
  const out = async () => {
    try {
      await leave();
    } catch (error) {
      toast("error", texts.logOut, String(error));
    }
  };
  return (
    <span class="person">
      <span>
        {name !== undefined && <span class="said">{texts.loggedInAs(name)}</span>}
        {name !== undefined && <span aria-hidden="true">{name}</span>}
        <span class={`role role-${role}`}>{role === "viewer" ? texts.viewer : texts.operator}</span>
      </span>
      <Button kind="quiet" onClick={() => void out()}>
        {texts.logOut}
      </Button>
    </span>
  );
}
