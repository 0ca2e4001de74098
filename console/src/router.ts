// Which page an address names. Everything is behind the `#`, so that the listener serves one document: `#/` all
// services, `#/prod` those of an environment, `#/prod/shop` one, `#/prod/shop/history` a page of it. Names are DNS
// labels, so `-` names nothing: pages of the process stand below `#/-/`.

import { signal } from "@preact/signals";

export type Route =
  | { page: "services"; environment?: string }
  | { page: "service"; environment: string; service: string }
  | { page: "version"; environment: string; service: string; version: string }
  | { page: "new-version"; environment: string; service: string }
  | { page: "operation"; environment: string; service: string; operation: string }
  | { page: "history"; environment: string; service: string }
  | { page: "explain"; environment: string; service: string }
  | { page: "configuration" }
  | { page: "unknown"; path: string };

export interface Place {
  route: Route;
  query: URLSearchParams;
}

/** Reads what follows the `#`. */
export function parse(hash: string): Place {
  const text = hash.replace(/^#/, "");
  const end = text.indexOf("?");
  const path = end < 0 ? text : text.slice(0, end);
  const query = new URLSearchParams(end < 0 ? "" : text.slice(end + 1));
  return { route: routeOf(path), query };
}

function routeOf(path: string): Route {
  const [environment, service, page, part, ...rest] = path
    .split("/")
    .filter((part) => part !== "")
    .map(decoded);
  const unknown: Route = { page: "unknown", path };
  if (rest.length > 0) return unknown;
  if (environment === undefined) return { page: "services" };
  if (environment === "-") {
    if (page !== undefined) return unknown;
    return service === "configuration" ? { page: service } : unknown;
  }
  if (service === undefined) return { page: "services", environment };
  if (page === undefined) return { page: "service", environment, service };
  if (page === "versions" && part !== undefined) return { page: "version", environment, service, version: part };
  if (page === "operations" && part !== undefined) return { page: "operation", environment, service, operation: part };
  if (part !== undefined) return unknown;
  if (page === "new-version" || page === "history" || page === "explain") return { page, environment, service };
  return unknown;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page, to be used as `href`. */
export function link(route: Route, query?: Record<string, string | undefined>): string {
  const path = partsOf(route).map(encodeURIComponent).join("/");
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== "") parameters.set(key, value);
  }
  const text = parameters.toString();
  return `#/${path}${text === "" ? "" : `?${text}`}`;
}

function partsOf(route: Route): string[] {
  switch (route.page) {
    case "services":
      return route.environment === undefined ? [] : [route.environment];
    case "service":
      return [route.environment, route.service];
    case "version":
      return [route.environment, route.service, "versions", route.version];
    case "operation":
      return [route.environment, route.service, "operations", route.operation];
    case "new-version":
    case "history":
    case "explain":
      return [route.environment, route.service, route.page];
    case "configuration":
      return ["-", route.page];
    case "unknown":
      return [];
  }
}

/** Where the browser is. */
export const place = signal<Place>(parse(globalThis.location?.hash ?? ""));

export function followAddress(): void {
  addEventListener("hashchange", () => {
    place.value = parse(location.hash);
  });
}

export function go(route: Route, query?: Record<string, string | undefined>): void {
  location.hash = link(route, query);
}

/** Changes the query of the page that is shown, without an entry in the browser's history: filters are no steps. */
export function refine(query: Record<string, string | undefined>): void {
  history.replaceState(null, "", link(place.value.route, query));
  place.value = parse(location.hash);
}
