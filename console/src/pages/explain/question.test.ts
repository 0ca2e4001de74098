import { expect, test } from "vitest";
import { askedIn, isComplaint, questionOf } from "./question";

const nothing = { method: "GET", path: "/", headers: "", cookies: "", client: "" };

test("a path brings its query, decoded", () => {
  expect(questionOf({ ...nothing, path: "/cart?beta=1&q=a%20b&flag" })).toMatchObject({
    path: "/cart",
    query: ["beta=1", "q=a b", "flag="],
  });
  expect(questionOf({ ...nothing, path: " " })).toMatchObject({ path: "/", query: [] });
});

test("headers and cookies stand a line each", () => {
  expect(questionOf({ ...nothing, headers: "x-a:  b: c\n\nx-d:", cookies: "user=1=2" })).toMatchObject({
    headers: ["x-a:b: c", "x-d:"],
    cookies: ["user=1=2"],
  });
});

test("a line that is none is complained of", () => {
  const complaint = questionOf({ ...nothing, headers: "x-a: b\n: c" });
  expect(complaint).toEqual({ field: "headers", line: ": c" });
  expect(isComplaint(complaint)).toBe(true);
  expect(questionOf({ ...nothing, cookies: "user" })).toEqual({ field: "cookies", line: "user" });
});

test("an address says what was asked", () => {
  expect(askedIn(new URLSearchParams("path=/a&headers=x:1&method=TRACE"))).toEqual({
    ...nothing,
    path: "/a",
    headers: "x:1",
  });
});
