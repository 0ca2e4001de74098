// Where things are: all paths of the tests start here.

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = resolve(fileURLToPath(import.meta.url), "../../../..");

/** What tests leave behind: artifacts of failures, and screenshots. */
export const target = join(root, "target");

/** Pictures of every page, kept from each run. */
export const screenshots = join(target, "console-screenshots");

/** The binary under test. */
export const binary = resolve(process.env.WATERSHED_BIN ?? join(target, "release", "watershed"));

/** The built guests. */
export const plugins = resolve(process.env.WATERSHED_PLUGINS ?? join(root, "plugins", "dist"));

/** The shipped configuration. */
export const shipped = join(root, "config");
