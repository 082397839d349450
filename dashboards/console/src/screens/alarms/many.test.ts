import { expect, test } from "vitest";
import type { Alarm, AlarmState, Severity } from "../../data/rows";
import { needsComment, plan, untilShiftEnds, worstOf } from "./many";

const row = (id: string, severity: Severity, state: AlarmState = "active_unacked"): Alarm => ({ id, severity, state }) as Alarm;

test("severe alarms that nobody saw are left out and counted", () => {
  const rows = [row("a", "critical"), row("b", "critical"), row("c", "minor"), row("d", "minor", "normal")];
  const found = plan(rows, { action: "ack", seen: (id) => id === "a", mayShelveCritical: false });
  expect(found.rows.map((one) => one.id)).toEqual(["a", "c"]);
  expect(found.unseen.map((one) => one.id)).toEqual(["b"]);
  expect(found.impossible.map((one) => one.id)).toEqual(["d"]);
  expect(found.bySeverity).toEqual({ critical: 1, major: 0, minor: 1, warning: 0 });
});

test("the worst are shelved only by those who may", () => {
  const rows = [row("a", "critical"), row("b", "major")];
  expect(plan(rows, { action: "shelve", seen: () => true, mayShelveCritical: false }).forbidden.map((one) => one.id)).toEqual(["a"]);
  expect(plan(rows, { action: "shelve", seen: () => true, mayShelveCritical: true }).rows.length).toBe(2);
});

test("a comment is asked for where it must be", () => {
  expect(needsComment("ack", [row("a", "critical")])).toBe(true);
  expect(needsComment("ack", [row("a", "major")])).toBe(false);
  expect(needsComment("false_alarm", [row("a", "warning")])).toBe(true);
  expect(worstOf([row("a", "minor"), row("b", "major")])).toBe("major");
});

test("a shift ends at the next change, which is never now", () => {
  expect(untilShiftEnds("07:59:30")).toBe(1);
  expect(untilShiftEnds("08:00:00")).toBe(720);
  expect(untilShiftEnds("21:00:00")).toBe(660);
});
