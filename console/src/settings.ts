// What a person chooses once and finds again: the language and the theme. Kept in the browser; where it keeps nothing
// (private windows, full storage), choices last as long as the page.

import { effect, signal } from "@preact/signals";

export type Language = "en" | "zh";
export type Theme = "auto" | "light" | "dark";

export const language = signal<Language>(chosen("language", ["en", "zh"], preferredLanguage()));
export const theme = signal<Theme>(chosen("theme", ["auto", "light", "dark"], "auto"));

function preferredLanguage(): Language {
  return (globalThis.navigator?.language ?? "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

function chosen<T extends string>(key: string, known: readonly T[], fallback: T): T {
  try {
    const kept = localStorage.getItem(`watershed.${key}`);
    return known.find((value) => value === kept) ?? fallback;
  } catch {
    return fallback;
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(`watershed.${key}`, value);
  } catch {
    // The choice holds for this page.
  }
}

/** Has the document follow the choices. */
export function applySettings(): void {
  effect(() => {
    document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
    keep("language", language.value);
  });
  effect(() => {
    if (theme.value === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme.value;
    keep("theme", theme.value);
  });
}
