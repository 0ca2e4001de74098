// The `test` of every spec: it serves sites, sends traffic, ends both, and lets no page complain unheard.

import { type BrowserContext, type Page, expect, test as base } from "@playwright/test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Site } from "./site";
import { Traffic } from "./traffic";
import { Watershed } from "./watershed";

export { expect, Site };

/** What a page said that no page should. */
export class Complaints {
  readonly heard: string[] = [];
  private readonly expected: RegExp[] = [];

  /** Lets a complaint pass that the test provokes. */
  allow(pattern: RegExp): void {
    this.expected.push(pattern);
  }

  /** Listens to a page: errors, violations of its security policy, and dialogs, which only injected scripts open. */
  watch(page: Page): void {
    page.on("pageerror", (error) => this.add(`error: ${error.stack ?? error}`));
    page.on("dialog", (dialog) => {
      this.add(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => undefined);
    });
    page.on("console", (message) => {
      if (message.type() === "error" || /content security policy/i.test(message.text())) {
        this.add(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("request", (request) => {
      const { hostname } = new URL(request.url());
      if (hostname !== "127.0.0.1" && !hostname.endsWith("localhost") && !request.url().startsWith("data:")) {
        this.add(`it asks another machine: ${request.url()}`);
      }
    });
  }

  /** What was heard and not provoked. */
  get unexpected(): string[] {
    return this.heard.filter((text) => !this.expected.some((pattern) => pattern.test(text)));
  }

  private add(text: string): void {
    this.heard.push(text);
  }
}

/** While one works on the console: `WATERSHED_CONSOLE=console/dist` tries a build that no binary has yet. */
async function built(context: BrowserContext): Promise<void> {
  const directory = process.env.WATERSHED_CONSOLE;
  if (directory === undefined) return;
  await context.route(/\/console\/(console\.(js|css)|index\.html)?$/, async (route) => {
    const name = new URL(route.request().url()).pathname.split("/").pop() || "index.html";
    const response = await route.fetch({ headers: { ...route.request().headers(), "accept-encoding": "identity" } });
    await route.fulfill({ response, body: readFileSync(join(directory, name)) });
  });
}

interface Fixtures {
  /** Serves a site until the test ends. */
  serve: (site: Site) => Promise<Watershed>;
  /** Sends requests beside the test until it ends. */
  traffic: (watershed: Watershed, host: string, rate?: number, path?: string) => Traffic;
  complaints: Complaints;
  /** A page of somebody else: a browser context of its own. */
  another: (options?: Parameters<import("@playwright/test").Browser["newContext"]>[0]) => Promise<Page>;
}

export const test = base.extend<Fixtures>({
  serve: async ({}, use, info) => {
    const served: Watershed[] = [];
    await use(async (site) => {
      const watershed = new Watershed(site);
      served.push(watershed);
      return watershed.start();
    });
    for (const watershed of served) {
      if (info.status !== info.expectedStatus) {
        console.log(`what watershed printed in "${info.title}":\n${watershed.output()}`);
      }
      await watershed.stop();
    }
  },

  traffic: async ({}, use) => {
    const begun: Traffic[] = [];
    await use((watershed, host, rate, path) => {
      const traffic = new Traffic(watershed, host, rate, path);
      begun.push(traffic);
      return traffic;
    });
    begun.forEach((traffic) => traffic.abandon());
  },

  complaints: [
    async ({}, use) => {
      const complaints = new Complaints();
      await use(complaints);
      expect(complaints.unexpected, "what pages complained of").toEqual([]);
    },
    { auto: true },
  ],

  context: async ({ context }, use) => {
    await built(context);
    await use(context);
  },

  page: async ({ page, complaints }, use) => {
    complaints.watch(page);
    await use(page);
  },

  another: async ({ browser, complaints, contextOptions }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext({ ...contextOptions, ...options });
      contexts.push(context);
      await built(context);
      const page = await context.newPage();
      complaints.watch(page);
      return page;
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
});
