// What the page of one device decides: which metric is shown first, which range, how values are written.

import { whenWall } from "../../chart/axis";
import { number } from "../../chart/points";
import type { Mark, Shade } from "../../chart/draw";
import type { AlarmHappening, Device, Position } from "../../data/rows";
import { zone } from "../../data/time";

export const RANGES = { h1: 3_600_000, h6: 21_600_000, d1: 86_400_000, d7: 604_800_000, d30: 2_592_000_000 } as const;
export type RangeKey = keyof typeof RANGES | "own";

/** The metric that a device of a kind is there for; what is about the device itself comes last. */
const MAIN: Record<string, string> = {
  gas_pressure: "pressure_kpa", smoke: "smoke_obscuration_dbm", noise: "laeq_dba", dust: "tsp_ugm3", bike_fence: "parked_count",
};
const ABOUT_ITSELF = ["battery_pct", "signal_dbm", "fault", "position"];

export function mainMetric(kind: string, metrics: readonly string[]): string | null {
  const main = MAIN[kind];
  if (main !== undefined && metrics.includes(main)) return main;
  return metrics.find((metric) => !ABOUT_ITSELF.includes(metric)) ?? metrics.find((metric) => metric !== "position") ?? null;
}

/** `2026-11-22T08:00` of the city's clock as milliseconds; NaN if it is no time. */
export function readLocal(text: string, timeZone = zone.get()): number {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) return NaN;
  const wall = Date.parse(`${text.slice(0, 16)}:00Z`);
  return Number.isNaN(wall) ? NaN : whenWall(wall, timeZone);
}

/** The range of the address; one that cannot be is the usual one. */
export function rangeOf(key: string, from: string | null, to: string | null, nowMs: number, timeZone = zone.get()): { from: number; to: number } {
  if (key === "own" && from !== null && to !== null) {
    const range = { from: readLocal(from, timeZone), to: readLocal(to, timeZone) };
    if (range.to > range.from) return range;
  }
  const span = (RANGES as Record<string, number>)[key] ?? RANGES.h6;
  return { from: nowMs - span, to: nowMs };
}

export function valueText(value: number | boolean | Position): string {
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "1" : "0";
  return `${value.lon.toFixed(5)}, ${value.lat.toFixed(5)}`;
}

/** What `PUT /devices` takes of a row that was read: without what the hub adds. */
export function inputOf(row: Device): Record<string, unknown> {
  const { id, kind, name, site, location, parent, cadence_s, component_code, tags, identities, enabled } = row;
  return { id, kind, name, site, location, parent, cadence_s, component_code, tags, identities, enabled };
}

/** What people did about alarms: acknowledgements and remarks as marks, shelves and work on the device as bands. */
export function deedsOf(histories: readonly (readonly AlarmHappening[])[]): { marks: Mark[]; shades: Shade[] } {
  const marks: Mark[] = [];
  const shades: Shade[] = [];
  for (const history of histories) {
    history.forEach((one, index) => {
      const at = Date.parse(one.at);
      if (one.kind === "acked" || one.kind === "commented") marks.push({ at, kind: one.kind === "acked" ? "acked" : "note", label: one.actor ?? "" });
      if (one.state !== "shelved" && one.state !== "out_of_service") return;
      const next = history[index + 1];
      shades.push({ from: at, to: next === undefined ? Infinity : Date.parse(next.at), label: one.state });
    });
  }
  return { marks, shades };
}
