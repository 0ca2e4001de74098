// Changes that are wrong, refused, or overtaken.

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Console, percent } from "../support/console";
import { plugins } from "../support/places";
import { twoVersions } from "../support/site";
import { expect, Site, test } from "../support/test";

test("shares that do not add up cannot be finished, and it says how far off they are", async ({ serve, page }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const console = new Console(page, watershed);
  const { actions } = console.texts;
  await console.open("#/default/greeter");
  await console.button(console.texts.service.traffic).click();
  const review = console.button(actions.review, console.dialog);
  for (const [shares, said] of [
    [{ v1: "60", v2: "30" }, actions.traffic.short(percent(10))],
    [{ v1: "70.5", v2: "29.51" }, actions.traffic.over(percent(0.01))],
    [{ v1: "abc", v2: "10" }, actions.traffic.wrongNumber],
    [{ v1: "100", v2: "0" }, actions.traffic.unchanged],
  ] as const) {
    await console.setShares(shares);
    await expect(review).toHaveAttribute("aria-disabled", "true");
    await expect(review).toHaveAccessibleDescription(said);
    await review.click({ force: true });
    await expect(console.button(actions.traffic.confirm, console.dialog)).toBeHidden();
  }
  await console.setShares({ v1: "33.33", v2: "66.67" });
  await expect(console.dialog).toContainText(actions.traffic.exact);
  await review.click();
  await console.confirm(actions.traffic.confirm);
  expect(await watershed.shares("greeter")).toEqual({ v1: 33.33, v2: 66.67 });
});

test("a deployment that fails explains itself, and traffic is as it was", async ({ serve, traffic, page }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions("{ v1 = 90, v2 = 10 }")));
  const requests = traffic(watershed, "greeter.localhost");
  const console = new Console(page, watershed);
  const { deploy } = console.texts;
  await console.open("#/default/greeter/new-version");
  await page.getByLabel(deploy.component).setInputFiles(join(plugins, "greeter.wasm"));
  await page.getByText(deploy.limits, { exact: true }).click();
  await page.getByRole("textbox", { name: deploy.limit.memory }).fill("64KiB");
  await page.getByRole("radio", { name: deploy.policies.all }).check();
  await console.button(deploy.showPlan).click();
  await console.button(deploy.begin).click();
  await expect(page.getByText(deploy.failed("v3"))).toBeVisible({ timeout: 30_000 });
  await expect(page.locator(".main")).toContainText("memory-too-small");
  await expect(page.locator(".main")).toContainText(console.texts.shell.help("").trim());
  await console.picture("operation-failed");
  expect(await watershed.shares("greeter")).toEqual({ v1: 90, v2: 10 });
  // Who tries again finds the form as it was sent.
  await console.link(deploy.again).click();
  await page.getByText(deploy.limits, { exact: true }).click();
  await page.getByRole("textbox", { name: deploy.limit.memory }).fill("64MiB");
  await console.button(deploy.showPlan).click();
  await console.button(deploy.begin).click();
  await expect(page.getByText(deploy.isNormal("v3"))).toBeVisible({ timeout: 30_000 });
  expect(await watershed.shares("greeter")).toEqual({ v1: 0, v2: 0, v3: 100 });
  expect((await requests.end()).lost).toEqual([]);
});

test("a deployment goes on when its page is left, and moves the traffic that it was asked to", async ({
  serve,
  traffic,
  page,
}) => {
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const requests = traffic(watershed, "greeter.localhost");
  const console = new Console(page, watershed);
  const { deploy } = console.texts;
  await console.open("#/default/greeter/new-version");
  await page.getByRole("radio", { name: deploy.sources.file }).check();
  await page
    .getByRole("textbox", { name: deploy.path })
    .fill(join(watershed.site.directory, "plugins", "dist", "lab.wasm"));
  await page.getByRole("radio", { name: deploy.policies.share }).check();
  await page.getByRole("textbox", { name: deploy.share }).fill("12.5");
  await console.button(deploy.showPlan).click();
  await expect(page.locator(".plan")).toContainText(percent(12.5));
  await console.button(deploy.begin).click();
  await page.waitForURL(/operations/);
  await page.goto(watershed.console("#/default/greeter"));
  await expect(console.version("v3")).toContainText(percent(12.5), { timeout: 30_000 });
  await console.barShows([87.5, 12.5]);
  await page.goBack();
  await expect(page.getByText(deploy.isNormal("v3"))).toBeVisible();
  expect((await requests.end()).lost.filter((why) => !why.includes("404 from v3"))).toEqual([]);
});

test("what is missing in the form is said where it is missing", async ({ serve, page }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const console = new Console(page, watershed);
  const { deploy } = console.texts;
  await console.open("#/default/greeter/new-version");
  await page.getByRole("textbox", { name: deploy.name, exact: true }).fill("v1");
  await page.getByRole("radio", { name: deploy.sources.upstream }).check();
  await page.getByRole("textbox", { name: deploy.targets }).fill("localhost");
  await page.getByRole("radio", { name: deploy.policies.share }).check();
  await page.getByRole("textbox", { name: deploy.share }).fill("100.1");
  await console.button(deploy.showPlan).click();
  for (const [name, said] of [
    [deploy.name, deploy.wrong.taken],
    [deploy.targets, deploy.wrong.target],
    [deploy.share, deploy.wrong.percent],
  ]) {
    await expect(page.getByRole("textbox", { name, exact: true })).toHaveAccessibleDescription(new RegExp(said!));
  }
  await expect(page.getByRole("textbox", { name: deploy.name, exact: true })).toBeFocused();
  await expect(console.button(deploy.begin)).toBeHidden();
});

test("something that is no component is refused when it is uploaded", async ({ serve, page, complaints }) => {
  complaints.allow(/status of 4\d\d/);
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const console = new Console(page, watershed);
  await console.open("#/default/greeter/new-version");
  const file = {
    name: "<img src=x onerror=alert(1)>.wasm",
    mimeType: "application/wasm",
    buffer: Buffer.from("no component"),
  };
  await page.getByLabel(console.texts.deploy.component).setInputFiles(file);
  await expect(page.getByText(console.texts.deploy.uploadFailed)).toBeVisible();
  await console.button(console.texts.deploy.showPlan).click();
  await expect(page.getByLabel(console.texts.deploy.component)).toBeFocused();
});

test("of two people who change at once, the second sees what changed", async ({ serve, page, another, complaints }) => {
  complaints.allow(/status of (401|409)/);
  const site = new Site().service("greeter", twoVersions()).admin('token-file = "tokens"');
  site.write("config/tokens", "operator ann-token-0123456789 ann\noperator bob-token-0123456789 bob\n");
  const watershed = await serve(site);
  const [ann, bob] = [new Console(page, watershed), new Console(await another(), watershed)];
  for (const [console, token] of [
    [ann, "ann-token-0123456789"],
    [bob, "bob-token-0123456789"],
  ] as const) {
    await console.page.goto(watershed.console("#/default/greeter"));
    await console.page.getByLabel(console.texts.login.token).fill(token);
    await console.page.keyboard.press("Enter");
    await console.isLive();
  }
  const { actions, service } = ann.texts;
  await ann.button(service.traffic).click();
  await ann.setShares({ v1: 90, v2: 10 });
  await ann.button(actions.review, ann.dialog).click();
  await expect(ann.button(actions.traffic.confirm, ann.dialog)).toBeVisible();

  // Her page hears nothing of it: only the process can tell her.
  await page.route("**/api/v1/status*", () => undefined);
  await bob.button(service.promoteOf("v2")).click();
  await bob.confirm(actions.promote.confirm);
  await ann.button(actions.traffic.confirm, ann.dialog).click();
  await expect(ann.dialog).toContainText(actions.conflict);
  await expect(ann.dialog).toContainText("bob");
  await expect(ann.dialog).toContainText(percent(100));
  await ann.picture("conflict");
  await page.unroute("**/api/v1/status*");
  await ann.button(actions.startThere, ann.dialog).click();
  await expect(ann.dialog.getByRole("textbox", { name: actions.traffic.share("v2"), exact: true })).toHaveValue("100");

  // Where her page hears of it, it does not let her go on.
  await ann.setShares({ v1: 40, v2: 60 });
  await ann.button(actions.review, ann.dialog).click();
  await bob.button(service.promoteOf("v1")).click();
  await bob.confirm(actions.promote.confirm);
  await expect(ann.dialog).toContainText(actions.conflict);
  await expect(ann.button(actions.traffic.confirm, ann.dialog)).toHaveAttribute("aria-disabled", "true");
  await bob.page.reload();
  await bob.barShows([100]);
  await expect(bob.version("v1")).toContainText(percent(100));
});

test("where the file cannot be written, it shows the change to make", async ({ serve, page, complaints }) => {
  complaints.allow(/status of 4\d\d/);
  const site = new Site();
  const services = join(site.directory, "config", "services");
  // As Kubernetes mounts a ConfigMap.
  mkdirSync(join(services, "..2026_1"));
  writeFileSync(join(services, "..2026_1", "greeter.toml"), twoVersions());
  symlinkSync("..2026_1", join(services, "..data_new"));
  renameSync(join(services, "..data_new"), join(services, "..data"));
  symlinkSync("..data/greeter.toml", join(services, "greeter.toml"));
  const watershed = await serve(site);
  const console = new Console(page, watershed);
  const { actions } = console.texts;
  await console.open("#/default/greeter");
  await console.button(console.texts.service.traffic).click();
  await console.setShares({ v1: 75, v2: 25 });
  await console.button(actions.review, console.dialog).click();
  const confirm = console.button(actions.traffic.confirm, console.dialog);
  // A plan may be shown before the refusal.
  if (await confirm.isVisible()) await confirm.click();
  await expect(console.dialog).toContainText(actions.byHand);
  await expect(console.dialog).toContainText("v1 = 75");
  await console.picture("read-only");
  expect(await watershed.shares("greeter")).toEqual({ v1: 100, v2: 0 });
});
