// Which limits hold for a metric of a device: the lines of a chart that name the rule they come from.

import { SEVERITIES, type Device, type Rule, type Severity } from "../data/rows";

export interface Limit {
  value: number;
  side: "above" | "below";
  severity: Severity;
  rule: string;
  /** What is compared where it is not the reading itself: `mean 60 s`. */
  of: string | null;
  /** Seconds since the epoch between which this version of the rule held; null is open. */
  from: number | null;
  to: number | null;
}

const listed = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** Whether a rule watches a device; a condition that this page does not know fits nothing. */
export function watches(rule: Rule, device: Pick<Device, "id" | "kind" | "site" | "grid" | "tags" | "parent">): boolean {
  if (rule.devices !== undefined) return rule.devices.includes(device.id);
  const known: Record<string, unknown> = { kind: device.kind, site: device.site, grid: device.grid, parent: device.parent, id: device.id };
  return Object.entries(rule.select ?? {}).every(([key, wanted]) => {
    if (key === "tags") return Object.entries(wanted as Record<string, unknown>).every(([tag, value]) => listed(value).includes(device.tags?.[tag]));
    return key in known && listed(wanted).includes(known[key]);
  });
}

function severityOf(value: unknown): Severity {
  return SEVERITIES.find((known) => known === value) ?? "warning";
}

const DIRECT = ["threshold", "window"];

/** The limits of one rule; a `count_above` or a rate has none on the axis of the metric. */
export function limitsOfRule(rule: Rule, from: number | null = null, to: number | null = null): Limit[] {
  if (!DIRECT.includes(rule.kind) || rule.aggregate === "count_above" || rule.aggregate === "sum") return [];
  const of = rule.kind === "window" ? `${String(rule.aggregate ?? "mean")} ${String(rule.window_s)} s` : null;
  const found: Limit[] = [];
  const add = (one: Record<string, unknown>): void => {
    for (const side of ["above", "below"] as const) {
      const value = one[side];
      if (typeof value === "number") found.push({ value, side, severity: severityOf(one.severity ?? rule.severity), rule: rule.id, of, from, to });
    }
  };
  const levels = Array.isArray(rule.levels) ? (rule.levels as Record<string, unknown>[]) : [];
  if (levels.length > 0) levels.forEach(add);
  else add(rule);
  return found;
}

/** All limits of a metric of a device; equal ones of several rules come once, with the worst severity. */
export function limitsOf(rules: readonly Rule[], device: Device, metric: string): Limit[] {
  const found = new Map<string, Limit>();
  for (const rule of rules) {
    if (rule.metric !== metric || rule.enabled === false || rule.shadow === true || !watches(rule, device)) continue;
    for (const limit of limitsOfRule(rule)) {
      const key = `${limit.side} ${limit.value}`;
      const before = found.get(key);
      if (before === undefined || SEVERITIES.indexOf(limit.severity) < SEVERITIES.indexOf(before.severity)) found.set(key, limit);
    }
  }
  return [...found.values()].sort((a, b) => a.value - b.value);
}
