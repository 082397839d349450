// Periods of the city's calendar.

import { wallOf, whenWall } from "../../chart/axis";

export const PERIODS = ["day", "week", "month", "last30", "own"] as const;
export type PeriodName = (typeof PERIODS)[number];

export interface Period { from: number; to: number }

const DAY = 86_400_000;

/** Today, this week from Monday, this month, or the last 30 days, up to now; `own` takes both days as they are, the last one whole. */
export function periodOf(name: string, ownFrom: string | null, ownTo: string | null, nowMs: number, timeZone: string): Period {
  const midnight = Math.floor(wallOf(nowMs, timeZone) / DAY) * DAY;
  const date = new Date(midnight);
  const begin = (wall: number): Period => ({ from: whenWall(wall, timeZone), to: nowMs });
  if (name === "day") return begin(midnight);
  if (name === "week") return begin(midnight - ((date.getUTCDay() + 6) % 7) * DAY);
  if (name === "month") return begin(midnight - (date.getUTCDate() - 1) * DAY);
  if (name === "own" && ownFrom !== null && ownTo !== null) {
    const from = whenWall(Date.parse(`${ownFrom}T00:00:00Z`), timeZone);
    const to = Math.min(nowMs, whenWall(Date.parse(`${ownTo}T00:00:00Z`) + DAY, timeZone));
    if (to > from) return { from, to };
  }
  return { from: nowMs - 30 * DAY, to: nowMs };
}

/** The stretch of the same length before it. */
export const before = ({ from, to }: Period): Period => ({ from: from - (to - from), to: from });

/** `2026-11-22` on the wall of the city. */
export const dateOf = (at: number, timeZone: string): string => new Date(wallOf(at, timeZone)).toISOString().slice(0, 10);
