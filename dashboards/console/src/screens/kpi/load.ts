// The load of alarms by hour and day.

import { wallOf } from "../../chart/axis";
import type { Alarm } from "../../data/rows";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TEN_MIN = 600_000;
/** More rows than this are read by nobody. */
const DAYS_MAX = 31;

export interface Cell {
  alarms: number;
  /** The most in one 10-minute period of the hour. */
  peak: number;
}

export interface Strip {
  /** Days of the city's calendar, the newest first. */
  days: { date: string; hours: (Cell | null)[] }[];
}

/** Alarms by the time at which people were told; hours outside of the period are null. */
export function stripOf(rows: readonly Pick<Alarm, "announced_at">[], fromMs: number, toMs: number, timeZone: string): Strip {
  const first = Math.floor(wallOf(fromMs, timeZone) / DAY);
  const last = Math.floor(wallOf(Math.max(fromMs, toMs - 1), timeZone) / DAY);
  const counts = new Map<number, number>();
  for (const row of rows) {
    const at = row.announced_at === null ? NaN : Date.parse(row.announced_at);
    if (!(at >= fromMs && at < toMs)) continue;
    const slot = Math.floor(wallOf(at, timeZone) / TEN_MIN);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  }
  const wallFrom = wallOf(fromMs, timeZone);
  const wallTo = wallOf(toMs, timeZone);
  const days: Strip["days"] = [];
  for (let day = last; day >= Math.max(first, last - DAYS_MAX + 1); day -= 1) {
    const hours = Array.from({ length: 24 }, (_, hour): Cell | null => {
      const begin = day * DAY + hour * HOUR;
      if (begin + HOUR <= wallFrom || begin >= wallTo) return null;
      const slots = Array.from({ length: 6 }, (_, at) => counts.get(begin / TEN_MIN + at) ?? 0);
      return { alarms: slots.reduce((sum, n) => sum + n, 0), peak: Math.max(...slots) };
    });
    days.push({ date: new Date(day * DAY).toISOString().slice(0, 10), hours });
  }
  return { days };
}

/** 0 quiet, 1 up to one in 10 minutes, 2 up to five, 3 up to ten, 4 a flood. */
export const levelOf = (peak: number): 0 | 1 | 2 | 3 | 4 => (peak === 0 ? 0 : peak <= 1 ? 1 : peak <= 5 ? 2 : peak <= 10 ? 3 : 4);
