import { expect, it } from "vitest";

import type { Health, ServiceSummary } from "../../api/documents";
import { PAGE, paged, select } from "./select";

const service = (environment: string, name: string, health: Health): ServiceSummary => ({
  environment,
  name,
  health,
  url: "",
  in_flight: 0,
  versions: [{ name: "v1", status: "normal", share: 100 }],
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

it("reaches every service by pages, and no page beyond the last", () => {
  const many = Array.from({ length: 2 * PAGE + 1 }, (_, at) => service("prod", `s${at}`, "ok"));
  const all = [1, 2, 3].flatMap((page) => paged(many, String(page)).rows);
  expect(all).toEqual(many);
  expect(paged(many, "3")).toMatchObject({ pages: 3, first: 2 * PAGE + 1, last: 2 * PAGE + 1 });
  for (const wanted of ["4", "1e9", "Infinity"]) expect(paged(many, wanted).page, wanted).toBe(3);
  for (const wanted of [null, "", "0", "-1", "x", "0.5"]) expect(paged(many, wanted).page, String(wanted)).toBe(1);
  expect(paged([], "2")).toMatchObject({ page: 1, pages: 1, rows: [] });
});
