import { expect, test } from "vitest";
import { NO_FILTER, compareAlarms, fits, groupAlarms } from "./alarm-order";
import type { Alarm, AlarmState, Severity } from "./rows";

const row = (id: string, state: AlarmState, severity: Severity, raised_at: string, more: Partial<Alarm> = {}): Alarm =>
  ({ id, state, severity, raised_at, device: `d-${id}`, site: null, grid: null, rule: "r", kind: "smoke", count: 1, ...more }) as Alarm;

test("unacknowledged comes first, then the worst, then the newest", () => {
  const rows = [
    row("a1", "active_acked", "critical", "2026-03-01T00:00:09.000Z"),
    row("a2", "active_unacked", "minor", "2026-03-01T00:00:01.000Z"),
    row("a3", "active_unacked", "minor", "2026-03-01T00:00:02.000Z"),
    row("a4", "cleared_unacked", "critical", "2026-03-01T00:00:03.000Z"),
    row("a5", "active_unacked", "critical", "2026-03-01T00:00:00.000Z"),
    row("a6", "shelved", "critical", "2026-03-01T00:00:00.000Z"),
  ];
  expect(rows.sort(compareAlarms).map((r) => r.id)).toEqual(["a5", "a3", "a2", "a4", "a1", "a6"]);
});

test("a group stands where its first member stands and adds up", () => {
  const rows = [
    row("a", "active_unacked", "major", "2026-03-01T00:00:01.000Z", { site: "one", count: 2 }),
    row("b", "active_unacked", "minor", "2026-03-01T00:00:05.000Z", { site: "two" }),
    row("c", "active_acked", "minor", "2026-03-01T00:00:09.000Z", { site: "one", count: 3 }),
  ];
  const groups = groupAlarms(rows, "site");
  expect(groups.map((g) => [g.key, g.rows.length, g.count, g.newest])).toEqual([
    ["one", 2, 5, "2026-03-01T00:00:09.000Z"], ["two", 1, 1, "2026-03-01T00:00:05.000Z"],
  ]);
});

test("every word of a search must occur, in whatever field", () => {
  const one = row("a9", "active_unacked", "major", "2026-03-01T00:00:01.000Z", { site: "花园路调压站", title: "超压" });
  expect(fits(one, { ...NO_FILTER, text: "花园 超压" })).toBe(true);
  expect(fits(one, { ...NO_FILTER, text: "花园 失压" })).toBe(false);
  expect(fits(one, { ...NO_FILTER, text: "燃气" }, () => "燃气压力")).toBe(true);
  expect(fits(one, { ...NO_FILTER, severities: ["critical"] })).toBe(false);
});
