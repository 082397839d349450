import { expect, test } from "vitest";
import type { Alarm, AlarmState, Severity } from "../data/rows";
import { activeAt, fannedOut, gridStates, heatStep, marksOf, pickable } from "./abnormal";

let last = 0;
function alarm(device: string, severity: Severity, state: AlarmState = "active_unacked", more: Partial<Alarm> = {}): Alarm {
  last += 1;
  return {
    id: `a${last}`, device, severity, state, kind: "noise", grid: "g1", raised_at: "2026-11-22T00:00:00.000Z", cleared_at: null, count: 1, shadow: false, active: state.startsWith("active"),
    suppressed_by: null, ...more,
  } as Alarm;
}
const everywhere = (): { x: number; y: number } => ({ x: 1, y: 2 });

test("a device with two alarms is one mark with the worst that nobody has acknowledged", () => {
  const { marks } = marksOf([alarm("d", "critical", "active_acked"), alarm("d", "minor")], everywhere);
  expect(marks).toHaveLength(1);
  expect(marks[0]).toMatchObject({ severity: "minor", unacked: true, count: 2 });
});

test("an acknowledged critical alarm still outweighs an acknowledged minor one", () => {
  const { marks } = marksOf([alarm("d", "minor", "active_acked"), alarm("d", "critical", "active_acked")], everywhere);
  expect(marks[0]).toMatchObject({ severity: "critical", unacked: false });
});

test("shelved, suppressed and past alarms are no marks", () => {
  expect(marksOf([alarm("a", "major", "shelved"), alarm("b", "major", "suppressed"), alarm("c", "major", "normal")], everywhere).marks).toEqual([]);
});

test("an alarm without a place is not on the map but counted", () => {
  const { marks, nowhere } = marksOf([alarm("d", "critical")], () => undefined);
  expect(marks).toEqual([]);
  expect(nowhere).toHaveLength(1);
});

test("up to the limit every device keeps its own mark", () => {
  const { marks } = marksOf([alarm("a", "major"), alarm("b", "minor")], everywhere);
  expect(fannedOut(marks, 2)).toHaveLength(2);
});

test("beyond the limit grids say how many, and no alarm is lost", () => {
  const rows = [alarm("a", "minor"), alarm("b", "critical"), alarm("c", "major", "active_unacked", { grid: "g2" })];
  const groups = fannedOut(marksOf(rows, everywhere).marks, 2);
  expect(groups.map((mark) => [mark.key, mark.severity, mark.count])).toEqual([["grid g1", "critical", 2], ["grid g2", "major", 1]]);
});

test("a grid is filled only by alarms that nobody has acknowledged", () => {
  const found = gridStates([alarm("a", "major", "active_acked"), alarm("b", "minor", "active_unacked", { grid: "g2" })], Date.parse("2026-11-22T01:00:00Z"));
  expect(found.get("g1")).toMatchObject({ severity: null, open: 1, recent: 0 });
  expect(found.get("g2")).toMatchObject({ severity: "minor", open: 1 });
});

test("what has recovered is still marked and outlined, but no longer hatched", () => {
  const rows = [alarm("a", "critical", "cleared_unacked")];
  expect(marksOf(rows, everywhere).marks[0]).toMatchObject({ unacked: true, active: false });
  expect(gridStates(rows, 0).get("g1")).toMatchObject({ severity: "critical", active: false });
});

test("heat counts what was raised in the last ten minutes", () => {
  const now = Date.parse("2026-11-22T00:09:59Z");
  expect(gridStates([alarm("a", "major", "normal"), alarm("b", "minor", "normal")], now).get("g1")).toMatchObject({ recent: 2, heat: 2, open: 0 });
  expect(gridStates([alarm("a", "major", "normal")], now + 2_000).get("g1")).toMatchObject({ recent: 0, heat: 0 });
  expect([0, 1, 2, 3, 4, 5, 9, 10, 99].map(heatStep)).toEqual([0, 1, 2, 3, 3, 4, 4, 5, 5]);
});

test("the past shows what was active then", () => {
  const rows = [alarm("a", "major", "normal", { cleared_at: "2026-11-22T00:10:00.000Z" }), alarm("b", "minor")];
  expect(activeAt(rows, Date.parse("2026-11-22T00:05:00Z"))).toHaveLength(2);
  expect(activeAt(rows, Date.parse("2026-11-22T00:10:00Z")).map((row) => row.device)).toEqual(["b"]);
  expect(activeAt(rows, Date.parse("2026-11-21T23:59:59Z"))).toEqual([]);
});

test("a group is acknowledged as a whole only while nothing severe waits in it unseen", () => {
  const group = (...rows: Alarm[]) => fannedOut(marksOf(rows, everywhere).marks, 1)[0];
  const judged = [
    group(alarm("a", "minor"), alarm("b", "warning")), group(alarm("a", "minor"), alarm("b", "major")),
    group(alarm("a", "minor"), alarm("b", "critical", "active_acked")), marksOf([alarm("a", "critical")], everywhere).marks[0],
  ].map((mark) => mark && pickable(mark));
  expect(judged).toEqual([true, false, true, true]);
});
