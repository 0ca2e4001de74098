import { describe, expect, it } from "vitest";

import { link, parse, type Route } from "./router";

describe("addresses", () => {
  const routes: Route[] = [
    { page: "services" },
    { page: "services", environment: "prod" },
    { page: "service", environment: "prod", service: "shop" },
    { page: "version", environment: "prod", service: "shop", version: "v2" },
    { page: "new-version", environment: "prod", service: "shop" },
    { page: "operation", environment: "prod", service: "shop", operation: "a1" },
    { page: "history", environment: "prod", service: "shop" },
    { page: "explain", environment: "prod", service: "shop" },
    { page: "configuration" },
  ];

  it("come back as the page that they name", () => {
    for (const route of routes) expect(parse(link(route)).route).toEqual(route);
  });

  it("never take a name for a page", () => {
    for (const name of ["history", "explain", "configuration", "versions", "new-version"]) {
      const route: Route = { page: "service", environment: name, service: name };
      expect(parse(link(route)).route).toEqual(route);
    }
  });

  it("may be anything, and then name no page", () => {
    for (const hash of [
      "#/a/b/c",
      "#/a/b/history/x",
      "#/-/nothing",
      "#/-/configuration/x",
      "#/a/b/versions",
      "#/%E0%A4%A/b/c",
    ]) {
      expect(parse(hash).route.page, hash).toBe("unknown");
    }
    expect(parse("").route).toEqual({ page: "services" });
  });

  it("carry what a list is filtered by", () => {
    const { query } = parse(link({ page: "services" }, { q: "a&b=1", health: "", page: undefined }));
    expect([...query]).toEqual([["q", "a&b=1"]]);
  });
});
