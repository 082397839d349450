import { expect, test } from "vitest";
import type { Alarm } from "../../data/rows";
import { groupToAck, linesOf } from "./lines";

const row = (id: string, site: string, state = "active_unacked"): Alarm => ({ id, site, state, device: id, count: 1, raised_at: "2026-03-01T00:00:00.000Z" }) as Alarm;
const rows = [row("a", "one"), row("b", "two"), row("c", "one")];

test("a group of one is its alarm alone; others open when they are turned", () => {
  expect(linesOf(rows, "site", new Set(), false).map((line) => line.key)).toEqual(["group one", "b"]);
  expect(linesOf(rows, "site", new Set(["group one"]), false).map((line) => line.key)).toEqual(["group one", "a", "c", "b"]);
  expect(linesOf(rows, "none", new Set(), false).map((line) => line.key)).toEqual(["a", "b", "c"]);
});

test("a group is acknowledged only when all of it was seen", () => {
  const line = linesOf([row("a", "one"), row("c", "one"), row("d", "one", "active_acked")], "site", new Set(), false)[0];
  if (line?.type !== "group") throw new Error("no group");
  expect(groupToAck(line.group, (id) => id === "a")).toBe("unseen");
  expect((groupToAck(line.group, (id) => id !== "d") as Alarm[]).map((one) => one.id)).toEqual(["a", "c"]);
});
