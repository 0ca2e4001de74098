// The metrics of the process, as Prometheus reads them: what no document of the API counts.

import { problemOf, Refused, Unreachable } from "./problem";

export async function askMetrics(signal: AbortSignal): Promise<string> {
  let response: Response;
  try {
    response = await fetch("/metrics", { signal, cache: "no-store" });
  } catch (error) {
    signal.throwIfAborted();
    throw new Unreachable(String(error));
  }
  if (!response.ok) throw new Refused(problemOf(response.status, undefined));
  return response.text();
}
