// The texts of the language that is chosen. `t().services.title` in a component follows the choice by itself.

import { en } from "./i18n/en";
import { zh } from "./i18n/zh";
import { language } from "./settings";

/** What each language has to say: a missing text does not compile. */
export type Texts = typeof en;

const texts: Record<"en" | "zh", Texts> = { en, zh };

export function t(): Texts {
  return texts[language.value];
}
