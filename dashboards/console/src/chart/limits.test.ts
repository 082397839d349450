import { expect, test } from "vitest";
import type { Device, Rule } from "../data/rows";
import { limitsOf, limitsOfRule, watches } from "./limits";

const device: Device = {
  id: "gas-0001", kind: "gas_pressure", site: "A", tags: { class: "medium" }, enabled: true, status: "online", since: null, cause: null,
  last_seen: null, grid: "350203004002006",
};
const rule = (more: Partial<Rule>): Rule => ({ id: "r", revision: 1, kind: "threshold", metric: "pressure_kpa", severity: "major", ...more });

test("a rule watches what its selection names, and nothing by a condition that is not known", () => {
  expect(watches(rule({ select: {} }), device)).toBe(true);
  expect(watches(rule({ select: { kind: "gas_pressure", tags: { class: "medium" } } }), device)).toBe(true);
  expect(watches(rule({ select: { kind: "gas_pressure", tags: { class: "low" } } }), device)).toBe(false);
  expect(watches(rule({ select: { phase_of_moon: "full" } }), device)).toBe(false);
  expect(watches(rule({ devices: ["gas-0002"] }), device)).toBe(false);
});

test("levels replace the limit and the severity of their rule", () => {
  const found = limitsOfRule(rule({ levels: [{ above: 3, below: 1.5, severity: "minor" }, { above: 10, severity: "critical" }] }));
  expect(found.map(({ value, side, severity }) => [value, side, severity])).toEqual([[3, "above", "minor"], [1.5, "below", "minor"], [10, "above", "critical"]]);
});

test("a rate has no limit on the axis, and an average says what it is", () => {
  expect(limitsOfRule(rule({ kind: "rate", fall: 20, window_s: 300 }))).toEqual([]);
  expect(limitsOfRule(rule({ kind: "window", above: 70, aggregate: "leq", window_s: 60 }))[0]?.of).toBe("leq 60 s");
});

test("one value is one line, with the worst severity of its rules", () => {
  const rules = [rule({ above: 400 }), rule({ id: "s", above: 400, severity: "critical" }), rule({ id: "off", above: 500, enabled: false }), rule({ id: "t", metric: "battery_pct", below: 15 })];
  expect(limitsOf(rules, device, "pressure_kpa").map(({ value, severity, rule: id }) => [value, severity, id])).toEqual([[400, "critical", "s"]]);
});
