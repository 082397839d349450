// Which tone is due: that of the worst alarm that nobody has acknowledged, and no other.

import type { Alarm } from "../data/rows";
import type { Tone } from "./tones";

export const MUTE_MS = 120_000;

export interface Mute {
  until: number;
  /** The critical alarms that were silenced; any other one breaks the silence. */
  known: readonly string[];
}

export interface Facts {
  rows: readonly Pick<Alarm, "id" | "severity" | "state" | "shadow">[];
  flood: boolean;
  linkBroken: boolean;
  mute: Mute | null;
  nowMs: number;
}

/** A recovery ends the tone of all but Ⅰ: what was critical is to be looked at in any case. */
function rings(row: Facts["rows"][number]): boolean {
  if (row.shadow) return false;
  if (row.state === "active_unacked" || row.state === "latched_unacked") return true;
  return row.state === "cleared_unacked" && row.severity === "critical";
}

export function ringingCritical(rows: Facts["rows"]): string[] {
  return rows.filter((row) => row.severity === "critical" && rings(row)).map((row) => row.id);
}

/** The silence that still holds; a new Ⅰ and time end it. */
export function muteNow({ rows, mute, nowMs }: Pick<Facts, "rows" | "mute" | "nowMs">): Mute | null {
  if (mute === null || nowMs >= mute.until) return null;
  const known = new Set(mute.known);
  return ringingCritical(rows).every((id) => known.has(id)) ? mute : null;
}

export function toneDue(facts: Facts): Tone | null {
  if (muteNow(facts) !== null) return null;
  const has = (severity: Alarm["severity"]): boolean => facts.rows.some((row) => row.severity === severity && rings(row));
  if (has("critical")) return "critical";
  if (has("major")) return "major";
  if (facts.linkBroken) return "link_lost";
  // In a flood the lesser ones would only hide the greater.
  if (has("minor") && !facts.flood) return "minor";
  return null;
}

/** Nobody on duty turns the worst tone off by turning it down. */
const CRITICAL_VOLUME_MIN = 0.2;

export function loudness(tone: Tone, volume: number): number {
  return tone === "critical" ? Math.max(CRITICAL_VOLUME_MIN, volume) : volume;
}
