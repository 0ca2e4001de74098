// The pure parts of following events: the format of the stream, and when to try again.

export interface ServerEvent {
  name: string;
  document: Record<string, unknown>;
}

/** More than an event ever is: a stream without line ends must not fill the memory. */
const LONGEST = 64 * 1024;

/** Takes a stream of server-sent events in pieces, wherever they are cut (HTML, section 9.2.6). */
export class EventReader {
  private rest = "";
  private name = "";
  private lines: string[] = [];

  push(text: string): ServerEvent[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = (lines.pop() ?? "").slice(-LONGEST);
    return lines.flatMap((line) => this.line(line));
  }

  private line(line: string): ServerEvent[] {
    if (line === "") return this.end();
    const [field, value = ""] = split(line);
    if (field === "event") this.name = value;
    if (field === "data") this.lines.push(value);
    return [];
  }

  private end(): ServerEvent[] {
    const { name, lines } = this;
    this.name = "";
    this.lines = [];
    if (lines.length === 0) return [];
    try {
      const document: unknown = JSON.parse(lines.join("\n"));
      if (typeof document !== "object" || document === null) return [];
      return [{ name: name || "message", document: document as Record<string, unknown> }];
    } catch {
      return [];
    }
  }
}

function split(line: string): [string, string?] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}

const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/**
 * How long to wait before an attempt, the first one being 1: doubled each time up to ten seconds, and between half and
 * all of it by chance, so that the tabs of many people do not come back at the same moment.
 */
export function backoff(attempt: number, chance: number): number {
  const full = Math.min(FIRST_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_MS);
  return Math.round(full * (0.5 + chance / 2));
}
