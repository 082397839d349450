import { expect, test } from "vitest";
import { aliveSender, completed, may, tokenOf } from "./session";

test("a token is taken out of the address", () => {
  expect(tokenOf("#token=abc")).toBe("abc");
  expect(tokenOf("#other=abc")).toBeNull();
});

test("rights are the hub's; without them they are those of the role", () => {
  const officer = completed({ name: "a", role: "officer" }, "token");
  expect([may(officer, "act"), may(officer, "shelve_critical"), may(officer, "edit")]).toEqual([true, false, false]);
  const viewer = completed({ name: "b", role: "viewer" }, "token");
  expect([may(viewer, "read"), may(viewer, "act")]).toEqual([true, false]);
  expect(may(completed({ name: "c", role: "viewer", rights: ["read", "act"] }, "session"), "act")).toBe(true);
  expect(may(null, "read")).toBe(false);
});

test("a person at the desk is told of at most once a minute", () => {
  let nowMs = 0;
  let told = 0;
  const sender = aliveSender(() => nowMs, () => { told += 1; });
  sender();
  nowMs = 59_999;
  sender();
  expect(told).toBe(1);
  nowMs = 60_000;
  sender();
  expect(told).toBe(2);
});
