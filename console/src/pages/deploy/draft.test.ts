import { describe, expect, test } from "vitest";
import { documentOf, emptyDraft, nextName, problemsOf } from "./draft";

describe("a name", () => {
  test("goes on where names count", () => {
    expect(nextName(["v1", "v2"])).toBe("v3");
    expect(nextName(["v9", "v10"])).toBe("v11");
    expect(nextName(["blue", "release-3"])).toBe("release-4");
    expect(nextName(["blue"])).toBe("");
    expect(nextName([])).toBe("v1");
  });

  test("is new, and could be a domain's label", () => {
    const named = (name: string) =>
      problemsOf({ ...emptyDraft(["v1"]), name, uploaded: "sha256:0" }, ["v1"]).get("name");
    expect(named("v2")).toBeUndefined();
    expect(named("v1")).toBe("taken");
    expect(named("")).toBe("required");
    expect(named("<b>")).toBe("name");
    expect(named("-a")).toBe("name");
    expect(named("a--b")).toBe("name");
    expect(named("a".repeat(64))).toBe("name");
  });
});

describe("a document", () => {
  test("has what was typed and nothing else", () => {
    const draft = {
      ...emptyDraft(["v1"]),
      uploaded: "sha256:0",
      env: [
        { name: "A", value: " 1 " },
        { name: "", value: "" },
      ],
    };
    expect(documentOf({ ...draft, limits: { memory: " 64MiB ", concurrency: "8", "cpu-time": "" } })).toEqual({
      name: "v2",
      upload: "sha256:0",
      env: { A: " 1 " },
      limits: { memory: "64MiB", concurrency: 8 },
      traffic: "keep",
    });
  });

  test("of an upstream has no variables, and no limits that only guests have", () => {
    const draft = {
      ...emptyDraft([]),
      source: "upstream" as const,
      targets: "a:1, b:2\n c:3",
      env: [{ name: "A", value: "1" }],
    };
    expect(
      documentOf({ ...draft, limits: { memory: "64MiB", "wall-time": "5s" }, policy: "share", share: "12.5" }),
    ).toEqual({
      name: "v1",
      upstream: ["a:1", "b:2", "c:3"],
      limits: { "wall-time": "5s" },
      traffic: 12.5,
    });
  });
});

test("what is missing or wrong is said of its field", () => {
  const draft = emptyDraft(["v1"]);
  expect([...problemsOf(draft, ["v1"])]).toEqual([["upload", "file"]]);
  const others = {
    ...draft,
    source: "upstream" as const,
    targets: "localhost",
    policy: "share" as const,
    share: "101",
  };
  expect([...problemsOf(others, [])]).toEqual([
    ["targets", "target"],
    ["share", "percent"],
  ]);
  const env = [
    { name: "A", value: "" },
    { name: "A", value: "1" },
    { name: "B=", value: "" },
  ];
  const variables = { ...draft, uploaded: "sha256:0", env };
  expect([...problemsOf(variables, [])]).toEqual([
    ["env-1", "twice"],
    ["env-2", "variable"],
  ]);
});
