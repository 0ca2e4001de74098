import { expect, it } from "vitest";

import type { Health, ServiceSummary } from "../../api/documents";
import { select } from "./select";

const service = (environment: string, name: string, health: Health): ServiceSummary => ({
  environment, name, health, url: "", in_flight: 0, versions: [{ name: "v1", status: "normal", share: 100 }],
});

const services = [
  service("prod", "shop", "ok"),
  service("prod", "cart", "failing"),
  service("staging", "shop", "attention"),
];

it("counts by health what else matches", () => {
  const wanted = { environment: "prod", text: "", health: "failing" as const };
  const { matching, counts, all } = select(services, wanted);
  expect(matching.map(({ name }) => name)).toEqual(["cart"]);
  expect(counts).toEqual({ ok: 1, failing: 1, attention: 0, offline: 0 });
  expect(all).toBe(2);
});

it("finds a part of a name, of an environment's too, or of a version's", () => {
  const find = (text: string) => select(services, { environment: undefined, text, health: undefined }).matching.length;
  expect([find(" SHO "), find("staging/"), find("v1"), find("nothing")]).toEqual([2, 1, 3, 0]);
});
