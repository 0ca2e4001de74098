// The browser suite: Debian's chromium against the real binary. `make test-console` runs it.

import { defineConfig } from "@playwright/test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { target } from "./support/places";

/** Chromium as Debian installs it; Playwright's own builds are not downloaded. */
function chromium(): string {
  const named = process.env.WATERSHED_CHROMIUM;
  const found = [named, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => path && existsSync(path));
  if (!found) {
    throw new Error("there is no chromium: run tests/console/install.sh, or name one in WATERSHED_CHROMIUM");
  }
  return found;
}

export default defineConfig({
  testDir: "specs",
  outputDir: join(target, "console-results"),
  // Two cores: two browsers, each beside a process and its traffic.
  workers: 2,
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  // A test that passes at its second try has failed.
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["./support/closing.ts"]],
  use: {
    browserName: "chromium",
    launchOptions: { executablePath: chromium() },
    locale: "en-US",
    colorScheme: "light",
    viewport: { width: 1280, height: 900 },
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
  },
});
