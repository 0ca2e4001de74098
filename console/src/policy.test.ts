import { expect, it } from "vitest";

import { decisionsOf, policyOf, previewOf } from "./policy";

const policy = {
  "override.header": { text: "true" },
  "override.preview-domains": { text: "true" },
  "rules.team.place": { text: "2" },
  "rules.team.match.header.x.team": { text: "core" },
  "rules.team.split.v1": { text: "50" },
  "rules.team.split.v2": { text: "50" },
  "rules.team.otherwise": { text: "fail" },
  "rules.beta.place": { text: "1" },
  "rules.beta.match.path": { text: "/app/*" },
  "rules.beta.version": { text: "v2" },
  "sticky.key": { text: "header:x-user" },
};

it("has rules in their order, whatever the order of keys", () => {
  const { rules, sticky, pick, override } = policyOf({ policy });
  expect(rules.map(({ name }) => name)).toEqual(["beta", "team"]);
  expect(rules[1]?.match).toEqual([{ key: "header x.team", pattern: "core" }]);
  expect(rules[1]?.split.map(({ version }) => version)).toEqual(["v1", "v2"]);
  expect([sticky, pick, override.secret]).toEqual([{ key: "header:x-user", mode: "hash" }, "random", false]);
});

it("previews at a domain of the version", () => {
  expect(previewOf("http://greeter.localhost:8080", "v2")).toBe("http://v2--greeter.localhost:8080/");
  expect(previewOf("nonsense", "v2")).toBeUndefined();
});

it("adds up the outcomes of a decision, of one service alone", () => {
  const line = (service: string, decision: string, outcome: string, count: string) =>
    `watershed_requests_total{environment="prod",service="${service}",version="v1",decision="${decision}",outcome="${outcome}"} ${count}`;
  const text = [
    line("shop", "rule:beta", "2xx", "3"),
    line("shop", "rule:beta", "trap", "1"),
    line("shop-2", "random", "2xx", "9"),
  ];
  expect([...decisionsOf(text.join("\n"), "prod", "shop")]).toEqual([["rule:beta", 4]]);
});
