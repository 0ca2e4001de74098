// Pages that explain: which version a request gets, what was served, and what the process has read.

import { Console, percent } from "../support/console";
import { twoVersions } from "../support/site";
import { expect, Site, test } from "../support/test";

const RULES = `{ v1 = 90, v2 = 10 }
sticky = { key = "header:x-user", mode = "hash" }
override = { header = true }
[[traffic.rules]]
name = "beta"
match = { header = { x-beta = "1*" }, path = "/shop/*" }
version = "v2"`;

test("a request is explained step by step, and the address keeps the question", async ({ serve, page, another }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions(RULES)));
  const console = new Console(page, watershed);
  const { explain } = console.texts;
  const answer = page.locator(".result").last();
  await console.open("#/default/greeter");
  await console.link(console.texts.service.pages.explain).click();
  await page.getByRole("textbox", { name: explain.path }).fill("/shop/cart?a=1");
  await page.getByRole("textbox", { name: explain.headers }).fill("x-beta: 17");
  await console.button(explain.submit).click();
  await expect(answer).toContainText(explain.gets("v2"));
  await expect(answer).toContainText(explain.why(explain.rule("beta")));
  await expect(answer).toContainText(explain.matches);
  const address = page.url();

  await page.getByRole("textbox", { name: explain.headers }).fill("x-user: ana");
  await console.button(explain.submit).click();
  await expect(answer).toContainText(explain.matchesNot);
  await expect(answer).toContainText(/bucket [0-9,]+ of 10,000/);
  await page.getByRole("textbox", { name: explain.headers }).fill("watershed-version: v9");
  await console.button(explain.submit).click();
  await expect(answer).toContainText(explain.results.unknown!);
  await expect(answer).toContainText(percent(90));
  await page.getByRole("textbox", { name: explain.headers }).fill("no header");
  await console.button(explain.submit).click();
  await expect(page.getByRole("textbox", { name: explain.headers })).toHaveAccessibleDescription(
    new RegExp(explain.wrongHeader("no header").slice(0, 20)),
  );

  const other = await another();
  await other.goto(address);
  await expect(other.getByRole("textbox", { name: explain.headers })).toHaveValue("x-beta: 17");
  await expect(other.getByRole("textbox", { name: explain.path })).toHaveValue("/shop/cart?a=1");
});

test("every page of a service is there in each environment", async ({ serve, page }) => {
  const site = new Site().environment("staging").service("greeter", twoVersions());
  const watershed = await serve(site.service("shop", twoVersions("{ v1 = 25, v2 = 75 }"), "staging"));
  const console = new Console(page, watershed);
  const { service, deploy } = console.texts;
  await console.open("#/staging/shop/versions/v2");
  await expect(page.locator(".main")).toContainText(percent(75));
  await expect(page.locator(".main")).toContainText("GREETING");
  await console.open("#/staging/shop/history");
  await expect(page.getByRole("table", { name: service.history })).toContainText(service.isServed);
  await console.open("#/staging/shop/new-version");
  await expect(page.getByRole("textbox", { name: deploy.name })).toBeVisible();
  await console.open("#/staging/shop");
  await expect(console.version("v2")).toContainText(percent(75));
});

test("the configuration says which file is wrong and why, and what wants a restart", async ({ serve, page }) => {
  const site = new Site().service("greeter", twoVersions());
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  const { configuration } = console.texts;
  await console.open("#/-/configuration");
  await expect(page.locator(".main")).toContainText(configuration.restartNothing);
  site.edit("greeter", /split = .*/, "split = { v1 = 60, v2 = 41 }");
  await expect(page.locator(".main")).toContainText("greeter.toml", { timeout: 3_000 });
  await expect(page.locator(".notice-error")).toContainText("101");
  await expect(page.getByRole("table", { name: configuration.files })).toContainText(configuration.wrong);
  site.edit("greeter", /split = .*/, "split = { v1 = 60, v2 = 40 }");
  await expect(page.getByRole("table", { name: configuration.files })).toContainText(configuration.right, {
    timeout: 3_000,
  });
  site.server("threads = 3");
  await expect(page.getByRole("table", { name: configuration.restartKeys })).toContainText("server.threads");
});

test("the history leads back to what was served", async ({ serve, page }) => {
  const site = new Site().service("greeter", twoVersions());
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  const { service, actions } = console.texts;
  await console.open("#/default/greeter/history");
  const table = page.getByRole("table", { name: service.history });
  await expect(table.getByRole("row")).toHaveCount(2);
  site.edit("greeter", /split = .*/, "split = { v1 = 55, v2 = 45 }");
  await expect(table.getByRole("row")).toHaveCount(3);
  await expect(table).toContainText(service.author.file);
  await table.getByRole("button").filter({ hasText: service.toHere }).first().click();
  await console.button(actions.review, console.dialog).click();
  await console.dialog.getByRole("textbox", { name: actions.remark }).fill("too early");
  await console.confirm(actions.rollback.confirm);
  await expect(table).toContainText("too early");
  expect(await watershed.shares("greeter")).toEqual({ v1: 100, v2: 0 });
});
