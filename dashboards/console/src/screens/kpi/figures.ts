// How figures are written, and whether they reach their target.

import { duration } from "../../data/time";
import type { Figures, Indicator, Kpi } from "../../data/rows";

export type Unit = "share" | "seconds" | "count" | "rate";

export function unitOf(name: string): Unit {
  if (name.endsWith("_share") || name.endsWith("_rate")) return "share";
  if (name.endsWith("_s")) return "seconds";
  return name.startsWith("per_") ? "rate" : "count";
}

export function written(name: string, value: number | null | undefined): string {
  if (value === null || value === undefined) return "—";
  const unit = unitOf(name);
  if (unit === "share") return `${Number((value * 100).toFixed(2))} %`;
  if (unit === "seconds") return value < 60 ? `${Number(value.toFixed(1))} s` : duration(value * 1_000);
  return unit === "rate" ? String(Number(value.toFixed(2))) : value.toLocaleString("en-US");
}

/** The mix of priorities is aimed at; the rest of the targets are the most that is fine. */
const AIMED = ["low_share", "medium_share", "high_share"];

export function isBeyond(indicator: Indicator | undefined, value: number | null | undefined): boolean {
  if (!indicator || indicator.target === null || value === null || value === undefined || AIMED.includes(indicator.name)) return false;
  return value > indicator.target;
}

/** What a rate was made of, where the hub gives it. */
const SAMPLE: Record<string, string> = {
  close_rate: "should_close", on_time_close_rate: "should_close", late_close_rate: "should_close", rework_rate: "should_close",
  extension_rate: "should_dispose", repeat_rate: "reported", valid_alarm_rate: "alarms", false_alarm_rate: "alarms", detect_to_open_s: "reported", open_to_accept_s: "registered",
};

export function sampleOf(name: string, all: Figures): number | null {
  const of = SAMPLE[name];
  return of === undefined ? null : all[of] ?? null;
}

/** The table for other programs: one line a figure, of the whole and of each group. */
export function linesOf(kpi: Kpi): (string | number | null)[][] {
  const known = new Map(kpi.indicators.map((one) => [one.name, one]));
  const line = (group: string, name: string, value: number | null): (string | number | null)[] => {
    const one = known.get(name);
    return [group, name, one?.name_cn ?? name, value, one?.target ?? null, one?.formula ?? "", one?.source ?? "", one?.certainty ?? ""];
  };
  const of = (group: string, all: Figures): (string | number | null)[][] => Object.entries(all).map(([name, value]) => line(group, name, value));
  return [
    ["from", kpi.from, "to", kpi.to, "by", kpi.by], ["group", "name", "名称", "value", "target", "formula", "source", "certainty"],
    ...of("*", kpi.total), ...of("*", kpi.alarm_load.figures), line("*", "online_rate", kpi.devices.online_rate),
    ...kpi.groups.flatMap((group) => of(group.key, group.indicators)),
    ...Object.entries(kpi.devices.by_kind).map(([kind, value]) => line(kind, "online_rate", value)),
  ];
}
