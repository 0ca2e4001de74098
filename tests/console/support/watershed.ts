// The process under test: started on any free port, asked from outside, and ended by its own id.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { binary } from "./places";
import type { Site } from "./site";

/** How long a start may take: components are compiled, on a machine that does other things too. */
const START = 30_000;

export class Watershed {
  private log = "";
  private said = "";
  private child: ChildProcess | undefined;
  /** Host and port for requests. */
  listen = "";
  /** Host and port of the admin listener. */
  admin = "";

  constructor(readonly site: Site) {}

  /** Serves the site, and resolves when the process has printed its addresses and says that it is ready. */
  async start(): Promise<this> {
    this.said = "";
    const main = join(this.site.directory, "config", "watershed.toml");
    const child = spawn(binary, ["run", "--config", main], { stdio: ["ignore", "pipe", "pipe"] });
    child.on("error", (error) => (this.log += `\n${error}\n`));
    this.child = child;
    child.stdout?.on("data", (text) => (this.said += text));
    child.stderr?.on("data", (text) => (this.log += text));
    await this.until("its addresses", () => this.said.includes("admin on http://"));
    this.listen = this.after("listening on http://");
    this.admin = this.after("admin on http://");
    await this.until("/readyz", async () => (await fetch(`http://${this.admin}/readyz`)).ok);
    return this;
  }

  /** The address of the console, with the path of a page. */
  console(hash = ""): string {
    return `http://${this.admin}/console/${hash}`;
  }

  /** Asks the admin API. */
  async api(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://${this.admin}/api/v1/${path}`, init);
  }

  /** The shares of a service that are served now, by version. */
  async shares(service: string): Promise<Record<string, number>> {
    const status = (await (await this.api(`status?service=${service}`)).json()) as any;
    const versions: { name: string; share: number }[] = status.environments.flatMap((each: any) => each.services)[0]
      .versions;
    return Object.fromEntries(versions.map(({ name, share }) => [name, share]));
  }

  /** Ends the process at once, as a crash does, and waits for its end. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Ends the process, and frees its directory. */
  async stop(): Promise<void> {
    await this.end("SIGKILL");
    this.site.remove();
  }

  /** Starts the process again, where it was. */
  async restart(): Promise<void> {
    this.site.stay(this.listen, this.admin);
    await this.start();
  }

  /** What the process has printed, for a test that has failed. */
  output(): string {
    return `--- stdout\n${this.said}\n--- stderr\n${this.log}`;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  private after(prefix: string): string {
    const line = this.said.split("\n").find((each) => each.startsWith(prefix));
    return line?.slice(prefix.length).trim() ?? "";
  }

  private async until(what: string, enough: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + START;
    while (!(await Promise.resolve(enough()).catch(() => false))) {
      const ended = this.child?.exitCode ?? this.child?.signalCode;
      if (ended != null || Date.now() > deadline) {
        throw new Error(`${binary} does not give ${what} (ended: ${ended ?? "no"})\n${this.output()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
