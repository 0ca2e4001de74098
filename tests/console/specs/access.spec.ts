// Who may do what: tokens, sessions, roles, and requests that come from other pages.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { Console } from "../support/console";
import { twoVersions } from "../support/site";
import { expect, Site, test } from "../support/test";

const OPERATOR = "operator-token-0123456789";
const VIEWER = "viewer-token-0123456789";

function guarded(): Site {
  const site = new Site().service("greeter", twoVersions()).admin('token-file = "tokens"');
  return site.write("config/tokens", `# who may do what\n\noperator ${OPERATOR} ann\nviewer ${VIEWER} vic\n`);
}

async function logIn(console: Console, token: string): Promise<void> {
  const { page, texts } = console;
  await page.getByLabel(texts.login.token).fill(token);
  await console.button(texts.login.submit).click();
}

/** Asks the API as a script of the page would. */
function ask(page: Page, path: string, init: RequestInit = {}): Promise<{ status: number; code?: string }> {
  return page.evaluate(
    async ([path, init]) => {
      const response = await fetch(`/api/v1/${path}`, init as RequestInit);
      const text = await response.text();
      return { status: response.status, code: text === "" ? undefined : JSON.parse(text).code };
    },
    [path, init] as const,
  );
}

const TRAFFIC = "services/default/greeter/traffic";
const HALVES = JSON.stringify({ shares: { v1: 50, v2: 50 } });
const json = { "content-type": "application/json" };

test("a token opens a session that no script can read, and logging out ends it", async ({
  serve,
  page,
  context,
  complaints,
}) => {
  complaints.allow(/status of 401/);
  const watershed = await serve(guarded());
  const console = new Console(page, watershed);
  await page.goto(watershed.console("#/default/greeter"));
  await expect(page.getByLabel(console.texts.login.token)).toBeFocused();
  await console.isAccessible();
  await console.picture("login");
  await console.button(console.texts.login.submit).click();
  await expect(page.getByText(console.texts.login.empty)).toBeVisible();
  await logIn(console, "wrong-token-0123456789");
  await expect(page.getByText(console.texts.login.wrong)).toBeVisible();
  await logIn(console, OPERATOR);
  await console.isLive();
  await expect(page.getByRole("heading", { level: 1, name: "greeter" })).toBeVisible();
  await expect(page.getByText("ann").first()).toBeVisible();

  const [cookie, ...others] = await context.cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ name: "watershed-session", httpOnly: true, sameSite: "Strict", path: "/" });
  expect(await page.evaluate(() => document.cookie)).toBe("");
  expect(cookie?.value).not.toContain(OPERATOR);

  await page.reload();
  await console.isLive();
  await console.button(console.texts.shell.logOut).click();
  await expect(page.getByLabel(console.texts.login.token)).toBeVisible();
  expect(await ask(page, "status")).toEqual({ status: 401, code: "token-missing" });
  // The cookie is worth nothing any more, wherever it was kept.
  await context.addCookies([cookie!]);
  expect((await ask(page, "status")).status).toBe(401);
});

test("a viewer sees everything, and is told why nothing can be changed", async ({ serve, page, complaints }) => {
  complaints.allow(/status of 40[13]/);
  const watershed = await serve(guarded());
  const console = new Console(page, watershed);
  await page.goto(watershed.console("#/default/greeter"));
  await logIn(console, VIEWER);
  await console.isLive();
  await expect(page.getByText(console.texts.shell.viewerHint)).toBeVisible();
  const change = console.button(console.texts.service.traffic);
  await expect(change).toHaveAttribute("aria-disabled", "true");
  await expect(change).toHaveAccessibleDescription(console.texts.shell.viewerShort);
  await change.click({ force: true });
  await expect(console.dialog).toBeHidden();
  await console.isAccessible();
  await console.picture("viewer");

  const session = await page.evaluate(async () => (await fetch("/api/v1/session")).json());
  expect(session).toMatchObject({ role: "viewer", name: "vic", authentication: "token" });
  const headers = { ...json, "x-csrf-token": session.csrf };
  expect(await ask(page, TRAFFIC, { method: "POST", headers, body: HALVES })).toEqual({ status: 403, code: "viewer" });
});

test("a change with the cookie alone is refused, as other pages would send it", async ({ serve, page, complaints }) => {
  complaints.allow(/status of 4\d\d/);
  const watershed = await serve(guarded());
  const console = new Console(page, watershed);
  await page.goto(watershed.console());
  await logIn(console, OPERATOR);
  await console.isLive();
  expect(await ask(page, TRAFFIC, { method: "POST", headers: json, body: HALVES })).toEqual({
    status: 403,
    code: "csrf",
  });
  const wrong = { ...json, "x-csrf-token": "0".repeat(43) };
  expect(await ask(page, TRAFFIC, { method: "POST", headers: wrong, body: HALVES })).toEqual({
    status: 403,
    code: "csrf",
  });
  expect(await ask(page, "session", { method: "DELETE" })).toEqual({ status: 403, code: "csrf" });
});

test("a page of another origin changes nothing, reads nothing, and cannot frame the console", async ({
  serve,
  page,
  complaints,
}) => {
  complaints.allow(/./);
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const attacker = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><title>attacker</title><iframe src="${watershed.console()}"></iframe>`);
  });
  await new Promise<void>((listening) => attacker.listen(0, "127.0.0.1", listening));
  try {
    await page.goto(`http://localhost:${(attacker.address() as AddressInfo).port}/`);
    const result = await page.evaluate(
      async ([url, body]) => {
        // Without a preflight: the type of a form.
        await fetch(url!, { method: "POST", mode: "no-cors", body, headers: { "content-type": "text/plain" } }).catch(
          () => undefined,
        );
        await fetch(url!, { method: "POST", body, headers: { "content-type": "application/json" } }).catch(
          () => undefined,
        );
        return fetch(url!.replace(/services.*/, "status")).then(
          () => "read",
          () => "refused",
        );
      },
      [`http://${watershed.admin}/api/v1/${TRAFFIC}`, HALVES],
    );
    expect(result).toBe("refused");
    expect(await watershed.shares("greeter")).toEqual({ v1: 100, v2: 0 });
    const frame = page.frames().find((each) => each !== page.mainFrame());
    expect(await frame?.locator("#console").count()).toBe(0);
  } finally {
    attacker.close();
  }
});

test("the policy of the console lets nothing run that it did not bring", async ({ serve, page, complaints }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  const console = new Console(page, watershed);
  for (const path of ["", "console.js", "console.css", "icon.svg"]) {
    const { headers } = await fetch(`http://${watershed.admin}/console/${path}`);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
  }
  await console.open("#/default/greeter");
  complaints.allow(/Content Security Policy|status of 404/i);
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="window.injected = true">');
    await new Promise((resolve) => setTimeout(resolve, 200));
    return "injected" in window;
  });
  expect(ran).toBe(false);
  expect(complaints.heard.some((text) => /Content Security Policy/i.test(text))).toBe(true);
});

test("a browser that opens the root comes to the console", async ({ serve, page }) => {
  const watershed = await serve(new Site().service("greeter", twoVersions()));
  await page.goto(`http://${watershed.admin}/`);
  await expect(page).toHaveURL(`http://${watershed.admin}/console/`);
  await page.goto(`http://${watershed.admin}/console`);
  await expect(page).toHaveURL(`http://${watershed.admin}/console/`);
  await new Console(page, watershed).isLive();
});
