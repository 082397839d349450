import { expect, test } from "vitest";
import { detailText, matches } from "./people";

const row = { seq: 7, at: "", actor: "lin", display_name: "值班员甲", role: "officer", action: "ack", subject: "a12", detail: { comment: "已电话" }, hash: "" };

test("the search of the trail demands every word, in any field", () => {
  expect(matches(row, "甲 ACK")).toBe(true);
  expect(matches(row, "已电话 a12")).toBe(true);
  expect(matches(row, "ack a13")).toBe(false);
});

test("a detail is told in words, not as an object", () => {
  expect(detailText({ minutes: 30, reason: "施工" })).toBe("minutes: 30 · reason: 施工");
  expect(detailText({ before: { role: "viewer" } })).toBe("before (role: viewer)");
  expect(detailText({ step: { step: "accept", at: null }, changed: [1, 2] })).toBe("step (step: accept) · changed (1, 2)");
  expect(detailText(null)).toBe("");
});
