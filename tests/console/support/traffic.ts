// Requests beside a test: sent at a steady rate over kept connections; every one is counted, and a lost one kept.

import { Agent, request } from "node:http";
import type { Watershed } from "./watershed";

/** How many of the lost requests are described. */
const DESCRIBED = 10;

export class Traffic {
  /** Requests that were answered, by version. */
  readonly versions = new Map<string, number>();
  /** Why requests were lost: no answer, or one that is no 200. */
  readonly lost: string[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 8 });
  private readonly timer: NodeJS.Timeout;
  private flying = 0;
  sent = 0;

  /** Sends `rate` requests a second to a host until it is ended. */
  constructor(
    private readonly watershed: Watershed,
    private readonly host: string,
    rate = 100,
    private readonly path = "/",
  ) {
    this.timer = setInterval(() => this.send(), 1000 / rate);
  }

  /** Ends it, waits for the last answer, and says how many were lost and why. */
  async end(): Promise<{ sent: number; lost: string[] }> {
    clearInterval(this.timer);
    const deadline = Date.now() + 10_000;
    while (this.flying > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.agent.destroy();
    const unanswered = this.flying > 0 ? [`${this.flying} unanswered`] : [];
    return { sent: this.sent, lost: [...this.lost.slice(0, DESCRIBED), ...unanswered] };
  }

  /** Stops the timer of a test that has failed. */
  abandon(): void {
    clearInterval(this.timer);
    this.agent.destroy();
  }

  private send(): void {
    const [hostname, port] = this.watershed.listen.split(":");
    const { agent, path } = this;
    this.sent += 1;
    this.flying += 1;
    const sending = request({ hostname, port, path, agent, headers: { host: this.host } }, (response) => {
      response.resume();
      response.on("error", (error) => this.lose(`body: ${error}`));
      response.on("close", () => {
        this.flying -= 1;
        const version = String(response.headers["watershed-version"] ?? "none");
        this.versions.set(version, (this.versions.get(version) ?? 0) + 1);
        if (response.statusCode !== 200 || !response.complete) {
          this.lose(`${response.statusCode} from ${version}, complete: ${response.complete}`);
        }
      });
    });
    sending.on("error", (error) => {
      this.flying -= 1;
      this.lose(String(error));
    });
    sending.end();
  }

  private lose(why: string): void {
    this.lost.push(`${new Date().toISOString()} ${why}`);
  }
}
