// The console as a person uses it: pages are found by their addresses, and everything on them by its role and its words.

import AxeBuilder from "@axe-core/playwright";
import { type Locator, type Page, expect } from "@playwright/test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { en } from "../../../console/src/i18n/en";
import { zh } from "../../../console/src/i18n/zh";
import { screenshots } from "./places";
import type { Watershed } from "./watershed";

export type Language = "en" | "zh";

/** What the console says, in each language. */
export const dictionaries = { en, zh };

/** The locale of a browser whose user reads a language. */
export const locales = { en: "en-US", zh: "zh-CN" } as const;

/** A percentage as the console writes it. */
export const percent = (share: number) => `${share}\u00a0%`;

export class Console {
  readonly texts;

  constructor(
    readonly page: Page,
    readonly watershed: Watershed,
    readonly language: Language = "en",
  ) {
    this.texts = dictionaries[language];
  }

  /** Opens a page by its address, and waits until it is live. */
  async open(hash = "#/"): Promise<void> {
    await this.page.goto(this.watershed.console(hash));
    await this.isLive();
  }

  async isLive(): Promise<void> {
    await expect(this.page.getByText(this.texts.shell.connection.live, { exact: true })).toBeVisible();
  }

  button(name: string, within: Page | Locator = this.page): Locator {
    return within.getByRole("button", { name, exact: true });
  }

  link(name: string, within: Page | Locator = this.page): Locator {
    return within.getByRole("link", { name, exact: true });
  }

  get dialog(): Locator {
    return this.page.getByRole("dialog");
  }

  /** The row of a version in the service's table. */
  version(name: string): Locator {
    const table = this.page.getByRole("table", { name: this.texts.service.versions });
    return table.getByRole("row").filter({ has: this.page.getByRole("rowheader").filter({ hasText: name }) });
  }

  /** What part of the bar of a service each version has, as it is drawn, in percent of its width. */
  async bar(): Promise<number[]> {
    return this.page
      .locator(".main .share-bar")
      .first()
      .evaluate((bar) => {
        const widths = [...bar.children].map((part) => part.getBoundingClientRect().width);
        const sum = widths.reduce((total, width) => total + width, 0);
        return widths.map((width) => (100 * width) / sum);
      });
  }

  /** Waits until the bar of a service is drawn with these shares, give or take two percent of the gaps between them. */
  async barShows(shares: number[], patience = 10_000): Promise<void> {
    const near = async () => {
      const drawn = await this.bar();
      return (
        drawn.length === shares.length && drawn.every((width, place) => Math.abs(width - (shares[place] ?? 0)) < 2)
      );
    };
    await expect.poll(near, { message: `the bar shows ${shares}`, timeout: patience }).toBe(true);
  }

  /** Does one of the changes: looks at what it would do, and confirms. */
  async confirm(label: string): Promise<void> {
    await this.button(label, this.dialog).click();
    await expect(this.dialog).toBeHidden();
  }

  /** Sets shares in the traffic dialog, which is open. */
  async setShares(shares: Record<string, number | string>): Promise<void> {
    for (const [name, share] of Object.entries(shares)) {
      await this.dialog
        .getByRole("textbox", { name: this.texts.actions.traffic.share(name), exact: true })
        .fill(String(share));
    }
  }

  /** Fails where a reader with another body could not use the page. */
  async isAccessible(): Promise<void> {
    const { violations } = await new AxeBuilder({ page: this.page })
      .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
      .analyze();
    const found = violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n  ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n  ")}`,
    );
    expect.soft(found, `violations at ${this.page.url()}`).toEqual([]);
  }

  /** Fails where the page is wider than the screen. */
  async fits(): Promise<void> {
    const { wide, width } = await this.page.evaluate(() => {
      const { clientWidth: width, scrollWidth } = document.documentElement;
      const outside = [...document.querySelectorAll("body *")].filter(
        (element) => element.getBoundingClientRect().right > width + 1,
      );
      return {
        width,
        wide: scrollWidth > width ? outside.slice(0, 5).map(({ outerHTML }) => outerHTML.slice(0, 200)) : [],
      };
    });
    expect.soft(wide, `wider than ${width} px at ${this.page.url()}`).toEqual([]);
  }

  /** Keeps a picture of the page, or of what a dialog leaves of it. */
  async picture(name: string): Promise<void> {
    mkdirSync(screenshots, { recursive: true });
    const fullPage = !(await this.dialog.isVisible());
    await this.page.screenshot({ path: join(screenshots, `${name}.png`), fullPage, animations: "disabled" });
  }
}
