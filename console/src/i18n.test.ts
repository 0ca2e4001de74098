import { describe, expect, it } from "vitest";

import { en } from "./i18n/en";
import { zh } from "./i18n/zh";

/** Every text of a language by its path; of a text with parts, what it says of marks in their places. */
function said(texts: object, path = ""): [string, string][] {
  return Object.entries(texts).flatMap(([key, text]: [string, unknown]) => {
    const here = `${path}${key}`;
    if (typeof text === "string") return [[here, text] as [string, string]];
    if (typeof text === "function") return [[here, String(text(...MARKS))] as [string, string]];
    return said(text as object, `${here}.`);
  });
}

const MARKS = ["⟦1⟧", "⟦2⟧", "⟦3⟧", "⟦4⟧"];

describe("every text", () => {
  const [english, chinese] = [new Map(said(en)), new Map(said(zh))];

  it("is there in both languages, and says something", () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
    for (const [path, text] of [...english, ...chinese]) expect(text.trim(), path).not.toBe("");
  });

  it("says the same parts in both", () => {
    for (const [path, text] of english) {
      const parts = (text: string | undefined) => MARKS.filter((mark) => text?.includes(mark));
      expect(parts(chinese.get(path)), path).toEqual(parts(text));
    }
  });

  it("has no punctuation of the other language", () => {
    for (const [path, text] of english) expect(text, path).not.toMatch(/[，。：；！？（）]/);
  });
});
