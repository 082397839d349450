import { expect, test } from "vitest";
import type { Alarm } from "../data/rows";
import { loudness, muteNow, ringingCritical, toneDue, type Facts } from "./choice";

const row = (id: string, severity: Alarm["severity"], state: Alarm["state"], shadow = false) => ({ id, severity, state, shadow });
const facts = (rows: Facts["rows"], more: Partial<Facts> = {}): Facts => ({ rows, flood: false, linkBroken: false, mute: null, nowMs: 0, ...more });

test("only the worst that nobody acknowledged sounds", () => {
  expect(toneDue(facts([row("a", "minor", "active_unacked"), row("b", "major", "active_unacked")]))).toBe("major");
  expect(toneDue(facts([row("a", "critical", "active_acked"), row("b", "minor", "active_unacked")]))).toBe("minor");
  expect(toneDue(facts([row("a", "warning", "active_unacked")]))).toBeNull();
});

test("a recovery ends the tone of all but the worst", () => {
  expect(toneDue(facts([row("a", "major", "cleared_unacked")]))).toBeNull();
  expect(toneDue(facts([row("a", "critical", "cleared_unacked")]))).toBe("critical");
});

test("what is set aside or on trial is silent", () => {
  expect(toneDue(facts([row("a", "critical", "shelved"), row("b", "critical", "suppressed"), row("c", "critical", "active_unacked", true)]))).toBeNull();
});

test("a lost link sounds, but below what is known to burn", () => {
  expect(toneDue(facts([], { linkBroken: true }))).toBe("link_lost");
  expect(toneDue(facts([row("a", "major", "active_unacked")], { linkBroken: true }))).toBe("major");
});

test("in a flood the lesser ones are silent", () => {
  expect(toneDue(facts([row("a", "minor", "active_unacked")], { flood: true }))).toBeNull();
  expect(toneDue(facts([row("a", "major", "active_unacked")], { flood: true }))).toBe("major");
});

test("silence holds for its time, and a new critical alarm breaks it", () => {
  const rows = [row("a", "critical", "active_unacked")];
  const mute = { until: 1_000, known: ringingCritical(rows) };
  expect(toneDue(facts(rows, { mute, nowMs: 999 }))).toBeNull();
  expect(toneDue(facts(rows, { mute, nowMs: 1_000 }))).toBe("critical");
  const more = [...rows, row("b", "critical", "active_unacked")];
  expect(muteNow({ rows: more, mute, nowMs: 10 })).toBeNull();
  expect(toneDue(facts([...rows, row("c", "major", "active_unacked")], { mute, nowMs: 10 }))).toBeNull();
});

test("the worst tone cannot be turned down to nothing", () => {
  expect([loudness("critical", 0), loudness("major", 0), loudness("critical", 0.8)]).toEqual([0.2, 0, 0.8]);
});
