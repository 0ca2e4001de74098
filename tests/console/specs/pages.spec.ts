// Every page, in both themes: usable by everybody, no wider than a phone, and kept as a picture to be looked at.

import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Console, type Language, locales } from "../support/console";
import { root, screenshots } from "../support/places";
import { greeter } from "../support/site";
import { expect, Site, test } from "../support/test";
import type { Traffic } from "../support/traffic";
import type { Watershed } from "../support/watershed";

/** A configuration with something of everything: versions of every kind, targets that are gone, a file that is wrong. */
function furnished(): Site {
  const versions = [
    greeter("v1", "Hello", 'remark = "first release"'),
    greeter("v2", "Bonjour", 'remark = "greets in French"\noutbound = ["https://api.example.com"]'),
    `[[versions]]\nname = "v3"\ncomponent = "gone.wasm"\nremark = "not there"\n`,
  ].join("\n");
  const traffic = `[traffic]
split = { v1 = 90, v2 = 10 }
override = { header = true, preview-domains = true }
sticky = { key = "header:x-user", mode = "hash" }
[[traffic.rules]]
name = "beta"
match = { header = { x-beta = "1" } }
version = "v2"
`;
  const upstream = `[[versions]]
name = "v1"
upstream = ["127.0.0.1:1", "127.0.0.1:2"]
[[versions]]
name = "v2"
component = "../../plugins/dist/greeter.wasm"
[traffic]
split = { v1 = 0, v2 = 100 }
`;
  const lab = `[[versions]]\nname = "v1"\ncomponent = "../../plugins/dist/lab.wasm"\noutbound = ["http://127.0.0.1:1"]\n`;
  return new Site()
    .environment("staging")
    .service("greeter", `${versions}\n${traffic}`)
    .service("lab", lab)
    .service("shop", upstream)
    .service("closed", `${greeter("v1", "Hello")}\n[traffic]\nsplit = { v1 = 0 }\n`)
    .service("broken", `${greeter("v1", "Hello")}\n[traffic]\nsplit = { v1 = 50 }\n`)
    .service("greeter", greeter("v1", "Hello"), "staging");
}

/** What each page shows before it is looked at. */
const PAGES: Record<string, { hash: string; there: string | RegExp; open?: (console: Console) => Promise<void> }> = {
  services: { hash: "#/", there: "closed" },
  service: { hash: "#/default/greeter", there: "beta" },
  "service-upstream": { hash: "#/default/shop", there: "v1" },
  "service-offline": { hash: "#/default/closed", there: "closed" },
  traffic: { hash: "#/default/greeter", there: "beta", open: openTraffic },
  rollback: {
    hash: "#/default/greeter",
    there: "beta",
    open: (console) => console.button(console.texts.service.rollback).click(),
  },
  "new-version": { hash: "#/default/greeter/new-version", there: /Watershed/, open: openLimits },
  version: { hash: "#/default/greeter/versions/v2", there: "api.example.com" },
  "version-error": { hash: "#/default/greeter/versions/v3", there: "gone.wasm" },
  "version-upstream": { hash: "#/default/shop/versions/v1", there: "127.0.0.1:1" },
  "version-failures": { hash: "#/default/lab/versions/v1", there: "trap" },
  history: { hash: "#/default/greeter/history", there: "v1 90" },
  explain: { hash: "#/default/greeter/explain?path=/cart&headers=x-beta:%201", there: /Watershed/, open: explain },
  configuration: { hash: "#/-/configuration", there: "broken.toml" },
  unknown: { hash: "#/a/b/c/d/e", there: /Watershed/ },
};

async function openTraffic(console: Console): Promise<void> {
  await console.button(console.texts.service.traffic).click();
  await console.setShares({ v1: 70 });
}

async function openLimits(console: Console): Promise<void> {
  await console.page.getByText(console.texts.deploy.limits, { exact: true }).click();
  await console.button(console.texts.deploy.addVariable).click();
  await console.button(console.texts.deploy.showPlan).click();
}

async function explain(console: Console): Promise<void> {
  await console.button(console.texts.explain.submit).click();
  await expect(console.page.locator(".explained")).toBeVisible();
}

async function show(console: Console, name: string): Promise<void> {
  const { hash, there, open } = PAGES[name]!;
  await console.page.goto("about:blank");
  await console.open(hash);
  await expect(console.page.locator("body")).toContainText(there);
  await open?.(console);
}

/** The looks of a person's browser: all pages in each of them take a while, so each gets a test. */
const LOOKS: { language: Language; theme: "light" | "dark"; phone: boolean }[] = [
  { language: "en", theme: "light", phone: false },
  { language: "zh", theme: "dark", phone: false },
  { language: "zh", theme: "light", phone: true },
  { language: "en", theme: "dark", phone: true },
];

for (const { language, theme, phone } of LOOKS) {
  const look = `${phone ? "phone-" : ""}${theme}-${language}`;
  test.describe(look, () => {
    const size = phone ? { width: 390, height: 844 } : { width: 1280, height: 900 };
    test.use({ locale: locales[language], colorScheme: theme, viewport: size });
    test(`every page can be used by everybody, ${look}`, async ({ serve, page, traffic }) => {
      test.setTimeout(120_000);
      const watershed = await serve(furnished());
      const running = busy(watershed, traffic);
      const console = new Console(page, watershed, language);
      await seasoned(running, watershed);
      for (const name of Object.keys(PAGES)) {
        await test.step(name, async () => {
          await show(console, name);
          await console.picture(`${name}-${look}`);
          await console.fits();
          // What a reader is told is the same on a phone.
          if (!phone) await console.isAccessible();
        });
      }
    });
  });
}

type Send = (watershed: Watershed, host: string, rate?: number, path?: string) => Traffic;

function busy(watershed: Watershed, traffic: Send): Traffic[] {
  return [
    traffic(watershed, "greeter.localhost", 60),
    traffic(watershed, "lab.localhost", 20, "/sleep?ms=5"),
    traffic(watershed, "lab.localhost", 2, "/panic"),
  ];
}

/** Waits until there is something to be seen of the traffic: rates are told after some seconds. */
async function seasoned(running: readonly Traffic[], watershed: Watershed): Promise<void> {
  await expect.poll(() => running.every(({ versions }) => versions.size > 0)).toBe(true);
  const isTold = async () => {
    const { environments } = await (await watershed.api("status?service=greeter&environment=default")).json();
    return environments[0].services[0].requests_per_second !== undefined;
  };
  await expect.poll(isTold, { timeout: 30_000 }).toBe(true);
}

/** A quiet upgrade, as the documentation shows it. */
function pictured(): Site {
  const versions = [
    greeter("v1", "Hello", 'remark = "first release"'),
    greeter("v2", "Bonjour", 'remark = "greets in French"'),
    greeter("v3", "Hola", 'remark = "greets in Spanish"'),
  ].join("\n");
  const more = `override = { preview-domains = true }\nsticky = { key = "header:x-user", mode = "hash" }`;
  return new Site().service("greeter", `${versions}\n[traffic]\nsplit = { v1 = 90, v2 = 10, v3 = 0 }\n${more}\n`);
}

test("the picture of the documentation is taken", async ({ serve, page, traffic }) => {
  const isBlessed = process.env.WATERSHED_BLESS !== undefined;
  test.setTimeout(isBlessed ? 240_000 : 60_000);
  const watershed = await serve(pictured());
  const running = [traffic(watershed, "greeter.localhost", 80)];
  await page.setViewportSize({ width: 1200, height: 1020 });
  const console = new Console(page, watershed);
  await seasoned(running, watershed);
  // Lines have something to show after a while.
  if (isBlessed) await page.waitForTimeout(80_000);
  watershed.site.edit("greeter", /split = .*/, "split = { v1 = 60, v2 = 30, v3 = 10 }");
  await console.open("#/default/greeter");
  await console.barShows([60, 30, 10]);
  await page.waitForTimeout(isBlessed ? 70_000 : 1_000);
  const file = join(screenshots, "console.png");
  await page.screenshot({ path: file, animations: "disabled" });
  expect(statSync(file).size).toBeLessThan(200 * 1024);
  if (isBlessed) copyFileSync(file, join(root, "docs", "console.png"));
});
