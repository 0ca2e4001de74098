// A configuration in a directory of its own: texts of files, and the changes that somebody makes to them by hand.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { plugins, shipped } from "./places";

/** What `[admin]` says by default. */
const ADMIN = 'listen = "127.0.0.1:0"';

/** A version of a service's file whose guest is the greeter. */
export function greeter(name: string, greeting: string, more = ""): string {
  return `[[versions]]
name = "${name}"
component = "../../plugins/dist/greeter.wasm"
env = { GREETING = "${greeting}", VERSION = "${name}" }
${more}
`;
}

/** The two versions of the mission: all to v1, v2 waits. */
export function twoVersions(split = "{ v1 = 100, v2 = 0 }"): string {
  const versions = [
    greeter("v1", "Hello", 'remark = "first release"'),
    greeter("v2", "Bonjour", 'remark = "greets in French"'),
  ].join("\n");
  return `${versions}\n[traffic]\nsplit = ${split}\n`;
}

export class Site {
  readonly directory = mkdtempSync(join(tmpdir(), "watershed-console-"));
  private listen = "127.0.0.1:0";
  private adminLines = ADMIN;
  private serverLines = "";
  private environments: [string, string][] = [["default", "services/*.toml"]];

  constructor() {
    mkdirSync(join(this.directory, "config", "services"), { recursive: true });
    mkdirSync(join(this.directory, "plugins", "dist"), { recursive: true });
    for (const name of readdirSync(plugins)) {
      copyFileSync(join(plugins, name), join(this.directory, "plugins", "dist", name));
    }
    this.writeMain();
  }

  /** The shipped configuration, with listeners on any free port. */
  static shipped(): Site {
    const site = new Site();
    for (const name of readdirSync(join(shipped, "services"))) {
      site.service(name.replace(/\.toml$/, ""), readFileSync(join(shipped, "services", name), "utf8"));
    }
    return site;
  }

  /** Sets the lines of `[admin]` after its address. */
  admin(lines: string): this {
    this.adminLines = `${ADMIN}\n${lines}`;
    return this.writeMain();
  }

  /** Sets further lines of `[server]`. */
  server(lines: string): this {
    this.serverLines = lines;
    return this.writeMain();
  }

  /** Adds an environment with services in a directory of its own. */
  environment(name: string): this {
    this.environments.push([name, `${name}/*.toml`]);
    return this.writeMain();
  }

  /** Declares a service, by the text of its file. */
  service(name: string, text: string, directory = "services"): this {
    return this.write(join("config", directory, `${name}.toml`), text);
  }

  /** Has the next start listen where this one did. */
  stay(listen: string, admin: string): void {
    this.listen = listen;
    this.adminLines = this.adminLines.replace("127.0.0.1:0", admin);
    this.writeMain();
  }

  /** Writes a file as an editor does: a reader sees the old text or the new one. */
  write(path: string, text: string): this {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return this;
  }

  read(path: string): string {
    return readFileSync(join(this.directory, path), "utf8");
  }

  /** Replaces text in a service's file; it must be there. */
  edit(service: string, before: string | RegExp, after: string): void {
    const path = join("config", "services", `${service}.toml`);
    const text = this.read(path);
    const edited = text.replace(before, after);
    if (edited === text) {
      throw new Error(`${path} has no ${before}:\n${text}`);
    }
    this.write(path, edited);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private writeMain(): this {
    const environments = this.environments.map(([name, services], place) => {
      const domain = place === 0 ? "localhost" : `${name}.localhost`;
      return `[[environments]]\nname = "${name}"\ndomain = "${domain}"\nservices = "${services}"\n`;
    });
    const main = `[server]
listen = ["${this.listen}"]
expose = "decision"
grace-period = "2s"
${this.serverLines}

[admin]
${this.adminLines}

[state]
directory = "../state"

${environments.join("\n")}`;
    return this.write("config/watershed.toml", main);
  }
}
