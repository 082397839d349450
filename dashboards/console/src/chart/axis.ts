// Round values of an axis, and marks of a time axis in the zone of the city: whole hours and midnights of its wall clock, through changes of summer time.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const STEPS = [
  SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY,
];

const formats = new Map<string, Intl.DateTimeFormat>();

function format(timeZone: string): Intl.DateTimeFormat {
  let found = formats.get(timeZone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-GB", {
      timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    });
    formats.set(timeZone, found);
  }
  return found;
}

/** The wall clock as if it were UTC, in milliseconds. */
export function wallOf(at: number, timeZone: string): number {
  const p: Record<string, number> = {};
  for (const part of format(timeZone).formatToParts(at)) p[part.type] = Number(part.value);
  return Date.UTC(p.year ?? 0, (p.month ?? 1) - 1, p.day, p.hour, p.minute, p.second) + (((at % SECOND) + SECOND) % SECOND);
}

const offsetAt = (at: number, timeZone: string): number => wallOf(at, timeZone) - at;

/** When the wall clock shows this; the first time of two, and the moment after a leap for one that never is. */
export function whenWall(wall: number, timeZone: string): number {
  const before = offsetAt(wall - DAY, timeZone);
  const after = offsetAt(wall + DAY, timeZone);
  const early = wall - Math.max(before, after);
  if (wallOf(early, timeZone) === wall) return early;
  return wall - Math.min(before, after);
}

export function stepOf(fromMs: number, toMs: number, most: number): number {
  const wanted = (toMs - fromMs) / Math.max(1, most);
  return STEPS.find((step) => step >= wanted) ?? 28 * DAY;
}

/** Where marks stand, at most about `most` of them. */
export function marksOf(fromMs: number, toMs: number, most: number, timeZone: string): number[] {
  const step = stepOf(fromMs, toMs, most);
  const found: number[] = [];
  if (step <= HOUR) {
    // Clocks change by whole or half hours, so short steps stay on round times.
    const offset = offsetAt(fromMs, timeZone);
    for (let at = Math.ceil((fromMs + offset) / step) * step - offset; at <= toMs; at += step) found.push(at);
    return found;
  }
  for (let wall = Math.ceil(wallOf(fromMs, timeZone) / step) * step; ; wall += step) {
    const at = whenWall(wall, timeZone);
    if (at > toMs) return found;
    if (at >= fromMs && at !== found[found.length - 1]) found.push(at);
  }
}

const two = (n: number): string => String(n).padStart(2, "0");

/** `19:12`, with seconds or the day where they matter; the day stands below the first mark and every midnight. */
export function labelsOf(marks: readonly number[], timeZone: string): string[] {
  const step = marks.length > 1 ? (marks[1] ?? 0) - (marks[0] ?? 0) : HOUR;
  let dayBefore = "";
  return marks.map((at) => {
    const wall = new Date(wallOf(at, timeZone));
    const date = `${two(wall.getUTCMonth() + 1)}-${two(wall.getUTCDate())}`;
    if (step >= DAY - 2 * HOUR) return date;
    const time = `${two(wall.getUTCHours())}:${two(wall.getUTCMinutes())}${step < MINUTE ? `:${two(wall.getUTCSeconds())}` : ""}`;
    const label = date === dayBefore ? time : `${time}\n${date}`;
    dayBefore = date;
    return label;
  });
}

/** Round values between two, at most about `most` of them. */
export function valuesOf(low: number, high: number, most: number): number[] {
  const wanted = (high - low) / most;
  const ten = 10 ** Math.floor(Math.log10(wanted));
  const step = ([1, 2, 2.5, 5].find((part) => part * ten >= wanted) ?? 10) * ten;
  const found: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(Number((n * step).toPrecision(12)));
  return found;
}
