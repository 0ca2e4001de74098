// What a page shows is what is, without anybody reloading it.

import { Console, percent } from "../support/console";
import { twoVersions } from "../support/site";
import { expect, Site, test } from "../support/test";

test("a split that somebody edits in the file moves the bars within a second or so", async ({ serve, page }) => {
  const site = new Site().service("greeter", twoVersions());
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  await console.open("#/default/greeter");
  await console.barShows([100]);
  const begun = Date.now();
  site.edit("greeter", /split = .*/, "split = { v1 = 60, v2 = 40 }");
  await expect(console.version("v2")).toContainText(percent(40), { timeout: 3_000 });
  globalThis.console.log(`an edit of the file showed after ${Date.now() - begun} ms`);
  await console.barShows([60, 40]);
});

test("the list of services follows too, and so does a file that becomes wrong", async ({ serve, page }) => {
  const site = new Site().service("greeter", twoVersions());
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  await console.open();
  await expect(console.link("greeter")).toBeVisible();
  site.service("second", twoVersions());
  await expect(console.link("second")).toBeVisible({ timeout: 3_000 });
  site.edit("second", /split = .*/, "split = { v1 = 60, v2 = 41 }");
  const row = page.getByRole("row").filter({ hasText: "second" });
  await expect(row).not.toContainText(console.texts.services.health.ok, { timeout: 3_000 });
});

test("a process that is gone is said to be, and everything goes on when it is back", async ({
  serve,
  page,
  complaints,
}) => {
  complaints.allow(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_NETWORK|ERR_EMPTY/);
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const console = new Console(page, watershed);
  await console.open("#/default/greeter");
  await expect(console.version("v1")).toBeVisible();
  await watershed.kill();
  await expect(page.locator(".banners")).toContainText(console.texts.shell.connection.gone);
  await console.picture("gone");
  // What was there is still shown.
  await expect(console.version("v1")).toBeVisible();
  watershed.site.edit("greeter", /split = .*/, "split = { v1 = 20, v2 = 80 }");
  await watershed.restart();
  await console.isLive();
  await expect(page.getByText(console.texts.shell.replaced)).toBeVisible();
  await console.barShows([20, 80]);
});

test("a network that goes and comes back leaves no page behind", async ({ serve, page, context, complaints }) => {
  complaints.allow(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK|ERR_FAILED/);
  const site = new Site().service("greeter", twoVersions());
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  await console.open("#/default/greeter");
  await context.setOffline(true);
  await expect(page.locator(".connection")).toContainText(console.texts.shell.connection.gone);
  site.edit("greeter", /split = .*/, "split = { v1 = 30, v2 = 70 }");
  await context.setOffline(false);
  await console.isLive();
  await console.barShows([30, 70]);
});
