import { expect, test } from "vitest";
import type { Device } from "../../data/rows";
import { battery, districtOf, matrixOf, notesOf, shareOf, sorted, treeOf } from "./fleet";

const device = (id: string, more: Partial<Device> = {}): Device => ({
  id, kind: "noise", enabled: true, status: "online", since: null, cause: null, last_seen: null, grid: null, ...more,
});
const plain = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

test("a unit grid belongs to the street of its first nine digits", () => {
  expect(districtOf("350203001001006")).toBe("350203001");
  expect(districtOf("G-0117")).toBe("G-0117");
  expect(districtOf(null)).toBe("");
});

test("the matrix counts who is online of those that are enabled", () => {
  const found = matrixOf({
    kind: ["noise", "noise", "smoke", "noise"], status: ["online", "offline", "online", "disabled"], grid: ["350203001001006", "350203001001007", null, "350203001001006"],
  });
  expect(found.kinds).toEqual(["noise", "smoke"]);
  expect(found.rows.map((row) => [row.district, row.cells])).toEqual([["", [null, { total: 1, online: 1 }]], ["350203001", [{ total: 2, online: 1 }, null]]]);
  expect(found.sum).toEqual({ total: 3, online: 2 });
  expect([shareOf({ total: 3, online: 2 }), shareOf({ total: 2, online: 2 }), shareOf({ total: 0, online: 0 })]).toEqual(["66.7 %", "100 %", "—"]);
});

test("a silent gateway is the root of its silent children and comes first", () => {
  const rows = [
    device("gw-1", { kind: "gateway" }), device("gw-2", { kind: "gateway", status: "offline" }), device("a", { parent: "gw-1" }),
    device("b", { parent: "gw-2", status: "offline", cause: "gateway" }), device("c", { parent: "gw-2", status: "offline", cause: "gateway" }), device("d"),
    device("e", { parent: "gone" }),
  ];
  expect(treeOf(rows).map((branch) => [branch.gateway?.id ?? null, branch.children.length, branch.bad, branch.caused]))
    .toEqual([["gw-2", 2, 2, 2], [null, 2, 0, 0], ["gw-1", 1, 0, 0]]);
});

test("what is missing comes last in both directions", () => {
  const rows = [device("a"), device("b", { latest: { battery_pct: { value: 50, unit: "%", quality: "good", observed_at: "", received_at: "" } } }),
    device("c", { latest: { battery_pct: { value: 10, unit: "%", quality: "good", observed_at: "", received_at: "" } } })];
  expect(sorted(rows, "battery", false, plain).map((row) => row.id)).toEqual(["c", "b", "a"]);
  expect(sorted(rows, "battery", true, plain).map((row) => row.id)).toEqual(["b", "c", "a"]);
  expect(battery(rows[0] as Device)).toBeNull();
});

test("a refusal without rows names none", () => {
  expect(notesOf(undefined)).toEqual([]);
  expect(notesOf([{ line: 3, field: "lon", reason: "not a number" }, 5])).toHaveLength(1);
});
