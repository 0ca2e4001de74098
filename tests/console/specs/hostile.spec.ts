// Texts that were written to be run: wherever somebody may write, they stand on the pages as they were written.

import { Console } from "../support/console";
import { greeter } from "../support/site";
import { expect, Site, test } from "../support/test";

const SCRIPT = "<script>alert(1)</script>";
const IMAGE = "<img src=x onerror=alert(1)>";
const QUOTED = `'"><svg onload=alert(1)>`;
const LINK = "javascript:alert(1)";

test("nothing that files, guests or addresses say is run", async ({ serve, page, complaints, traffic }) => {
  complaints.allow(/status of 4\d\d/);
  const remark = `remark = '''${IMAGE}${SCRIPT}${QUOTED.replace("'", "")}'''`;
  const versions = [
    greeter("v1", "Hello", remark),
    greeter("v2", IMAGE),
    `[[versions]]\nname = "v3"\ncomponent = '${IMAGE}.wasm'\n`,
    `[[versions]]\nname = "v4"\nupstream = ["127.0.0.1:1"]\nremark = "${LINK}"\n`,
  ].join("\n");
  const rule = `[[traffic.rules]]\nname = "beta"\nmatch = { header = { x-name = '${IMAGE}' }, path = '/${IMAGE}*' }\nversion = "v2"\n`;
  const site = new Site()
    .service("greeter", `${versions}\n[traffic]\nsplit = { v1 = 100 }\n${rule}`)
    .service("lab", `[[versions]]\nname = "v1"\ncomponent = "../../plugins/dist/lab.wasm"\n`)
    .service("broken", `# ${SCRIPT}\n[[versions]]\nname = '${IMAGE}'\ncomponent = "${IMAGE}"\n`);
  const watershed = await serve(site);
  traffic(watershed, "lab.localhost", 20, "/panic");
  const console = new Console(page, watershed);

  await console.open();
  await console.open("#/default/greeter");
  await expect(page.locator(".main")).toContainText(IMAGE);
  await expect(page.locator(".main")).toContainText(SCRIPT);
  await console.picture("hostile");
  for (const version of ["v1", "v2", "v3", "v4"]) {
    await console.open(`#/default/greeter/versions/${version}`);
    await expect(page.getByRole("heading", { level: 1 })).toContainText(version);
  }
  await expect(page.getByRole("link", { name: LINK })).toHaveCount(0);
  const body = JSON.stringify({ shares: { v1: 99, v2: 1 }, remark: `${IMAGE}${SCRIPT}` });
  const headers = { "content-type": "application/json" };
  expect((await watershed.api("services/default/greeter/traffic", { method: "POST", headers, body })).status).toBe(200);
  await console.open("#/default/greeter/history");
  await expect(page.getByRole("table")).toContainText(`${IMAGE}${SCRIPT}`);
  await console.open("#/-/configuration");
  await expect(page.locator(".main")).toContainText("broken.toml");
  await expect(page.locator(".main")).toContainText(IMAGE);
  await console.open("#/default/lab/versions/v1");
  await expect(page.getByRole("table", { name: console.texts.version.failed })).toContainText("trap", {
    timeout: 20_000,
  });

  await console.open("#/default/greeter/explain");
  await page.getByLabel(console.texts.explain.path).fill(`/${IMAGE}?q=${SCRIPT}`);
  await page.getByLabel(console.texts.explain.headers).fill(`x-name: ${IMAGE}`);
  await console.button(console.texts.explain.submit).click();
  await expect(page.locator(".result").last()).not.toBeEmpty();

  for (const address of [
    `#/${IMAGE}`,
    `#/default/${IMAGE}`,
    `#/default/greeter/versions/${encodeURIComponent(IMAGE)}`,
    `#/?q=${IMAGE}`,
    `#/default/greeter/operations/${encodeURIComponent(QUOTED)}`,
  ]) {
    await console.open(address);
  }
  expect(await page.locator('img[src="x"], svg[onload], script:not([src])').count()).toBe(0);
});
