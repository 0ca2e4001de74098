// The upgrade as a person does it, step by step, in both languages, while requests run and none of them is lost.

import { join } from "node:path";
import { Console, type Language, locales, percent } from "../support/console";
import { plugins } from "../support/places";
import { greeter } from "../support/site";
import { expect, Site, test } from "../support/test";

for (const language of ["en", "zh"] as const) {
  test.describe(`the upgrade in ${language}`, () => {
    test.use({ locale: locales[language] });
    test("a version is created, gets some traffic, all of it, and is rolled back", async ({ serve, traffic, page }) => {
      const text = `${greeter("v1", "Hello", 'remark = "first release"')}\n[traffic]\nsplit = { v1 = 100 }\noverride = { preview-domains = true }\n`;
      const watershed = await serve(new Site().service("greeter", text));
      const requests = traffic(watershed, "greeter.localhost");
      const console = new Console(page, watershed, language);

      await console.open();
      await console.link("greeter").click();
      await expect(page.getByRole("heading", { level: 1, name: "greeter" })).toBeVisible();
      await create(console, language);
      await split(console);
      await expect.poll(() => requests.versions.get("v2") ?? 0, { message: "requests of v2" }).toBeGreaterThan(0);
      await promote(console);
      await visit(console);
      await back(console);
      await console.page.reload();
      await console.barShows([90, 10]);

      const { sent, lost } = await requests.end();
      expect(lost, `of ${sent} requests`).toEqual([]);
      expect(sent).toBeGreaterThan(100);
      expect(requests.versions.get("v1")).toBeGreaterThan(0);
    });
  });
}

async function create(console: Console, language: Language): Promise<void> {
  const { page, texts } = console;
  await console.link(texts.service.newVersion).click();
  await expect(page.getByRole("textbox", { name: texts.deploy.name, exact: true })).toHaveValue("v2");
  await page.getByLabel(texts.deploy.component).setInputFiles(join(plugins, "greeter.wasm"));
  await expect(page.getByText(/greeter\.wasm.*[0-9a-f]{12}/)).toBeVisible();
  for (const [place, [name, value]] of [
    ["GREETING", "Bonjour"],
    ["VERSION", "v2"],
  ].entries()) {
    await console.button(texts.deploy.addVariable).click();
    await page.getByRole("textbox", { name: texts.deploy.envName(String(place + 1)) }).fill(name!);
    await page.getByRole("textbox", { name: texts.deploy.envValue(String(place + 1)) }).fill(value!);
  }
  await page
    .getByRole("textbox", { name: texts.deploy.remark })
    .fill(language === "zh" ? "法语问候" : "greets in French");
  await page.getByRole("radio", { name: texts.deploy.policies.keep }).check();
  await console.button(texts.deploy.showPlan).click();
  await expect(page.getByText(/\+.*name = "v2"/)).toBeVisible();
  await console.button(texts.deploy.begin).click();
  await expect(page.getByText(texts.deploy.isNormal("v2"))).toBeVisible({ timeout: 30_000 });
  await console.picture(`operation-done-${language}`);
  await console.link(texts.deploy.open).click();
  await expect(console.version("v2")).toContainText(texts.service.status.normal);
  await console.barShows([100]);
}

async function split(console: Console): Promise<void> {
  const { texts } = console;
  await console.button(texts.service.traffic).click();
  await console.setShares({ v1: 90, v2: 10 });
  await console.button(texts.actions.review, console.dialog).click();
  await console.confirm(texts.actions.traffic.confirm);
  await console.barShows([90, 10]);
  await expect(console.version("v2")).toContainText(percent(10));
  expect(await console.watershed.shares("greeter")).toEqual({ v1: 90, v2: 10 });
}

async function promote(console: Console): Promise<void> {
  const { texts } = console;
  await console.button(texts.service.promoteOf("v2")).click();
  await console.confirm(texts.actions.promote.confirm);
  await console.barShows([100]);
  expect(await console.watershed.shares("greeter")).toEqual({ v1: 0, v2: 100 });
}

async function visit(console: Console): Promise<void> {
  const { page, texts } = console;
  const popup = page.waitForEvent("popup");
  await page.getByRole("link", { name: texts.service.visit }).first().click();
  const visited = await popup;
  await expect(visited.locator("body")).toHaveText(/Bonjour from v2!/);
  await visited.close();
}

async function back(console: Console): Promise<void> {
  const { page, texts } = console;
  await console.button(texts.service.rollback).click();
  await console.button(texts.actions.review, console.dialog).click();
  await console.confirm(texts.actions.rollback.confirm);
  await console.barShows([90, 10]);
  expect(await console.watershed.shares("greeter")).toEqual({ v1: 90, v2: 10 });
  await page.getByRole("link", { name: texts.service.pages.history }).first().click();
  await expect(page.getByRole("table")).toContainText("rollback");
  await expect(page.getByRole("table")).toContainText("console");
  await page.goBack();
}
