// What is wrong, in one line: value against limit, as the rule sees it.

import type { Alarm } from "./rows";

/** Six digits are more than any sensor knows; trailing zeros are none of its. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const rounded = Math.abs(value) >= 1_000 ? Math.round(value * 10) / 10 : Number(value.toPrecision(4));
  return String(rounded);
}

const SUPERS: Record<string, string> = { "µg/m3": "µg/m³", "ug/m3": "µg/m³", "mg/m3": "mg/m³" };
export const unitText = (unit: string | null | undefined): string => (unit ? SUPERS[unit] ?? unit : "");

/** Yes-or-no metrics say all with their title. */
export function isYesNo(row: Pick<Alarm, "metric" | "unit" | "limit">): boolean {
  return !row.unit && row.limit === 0.5;
}

export type Side = "above" | "below" | null;

/** On which side of the limit the alarm lies: where its worst value was. */
export function sideOf(row: Pick<Alarm, "peak" | "limit" | "value">): Side {
  const worst = row.peak ?? row.value;
  if (worst === null || row.limit === null || worst === row.limit) return null;
  return worst > row.limit ? "above" : "below";
}

export interface Measured {
  /** `450.5 kPa` */
  value: string;
  /** `＞ 400` while the value is beyond it, `400` after. */
  limit: string;
  beyond: boolean;
  /** The worst so far, where it is worse than now. */
  peak: string | null;
}

/** Null where numbers say nothing, such as for silence or yes and no. */
export function measured(row: Pick<Alarm, "metric" | "unit" | "limit" | "value" | "peak" | "rule_kind">): Measured | null {
  if (row.value === null || row.metric === null || isYesNo(row) || row.rule_kind === "silence") return null;
  const unit = unitText(row.unit);
  const side = sideOf(row);
  const beyond = row.limit !== null && side !== null && (side === "above" ? row.value > row.limit : row.value < row.limit);
  const sign = side === "below" ? "＜" : "＞";
  const peak = row.peak !== null && figure(row.peak) !== figure(row.value) ? figure(row.peak) : null;
  return {
    value: `${figure(row.value)}${unit ? ` ${unit}` : ""}`,
    limit: row.limit === null ? "" : beyond ? `${sign} ${figure(row.limit)}` : figure(row.limit),
    beyond, peak,
  };
}
