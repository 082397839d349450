// Times are shown in the zone of the city and counted by the clock of the hub, never by the browser's.

import { cell } from "./cell";

export const zone = cell("Asia/Shanghai");

/** Hub's clock minus browser's clock. */
export const skewMs = cell(0);

/** Ticks once a second with the hub's time; durations on the screen follow it. */
export const now = cell(Date.now());

export const serverNow = (): number => Date.now() + skewMs.get();

let timer: ReturnType<typeof setInterval> | undefined;

export function startClock(): void {
  timer ??= setInterval(() => now.set(serverNow()), 1_000);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function parts(ms: number, timeZone: string): Record<string, string> {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    });
    formats.set(timeZone, format);
  }
  return Object.fromEntries(format.formatToParts(ms).map((part) => [part.type, part.value]));
}

type Moment = string | number | null | undefined;

function read(at: Moment): number {
  return typeof at === "number" ? at : at ? Date.parse(at) : NaN;
}

/** `19:12:36` */
export function clock(at: Moment, timeZone = zone.get()): string {
  const ms = read(at);
  if (Number.isNaN(ms)) return "—";
  const p = parts(ms, timeZone);
  return `${p.hour}:${p.minute}:${p.second}`;
}

/** `11-22` */
export function day(at: Moment, timeZone = zone.get()): string {
  const ms = read(at);
  if (Number.isNaN(ms)) return "—";
  const p = parts(ms, timeZone);
  return `${p.month}-${p.day}`;
}

/** `2026-11-22 19:12:36` */
export function full(at: Moment, timeZone = zone.get()): string {
  const ms = read(at);
  if (Number.isNaN(ms)) return "—";
  const p = parts(ms, timeZone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}

/** The clock alone for today, with the day else. */
export function moment(at: Moment, ref = serverNow(), timeZone = zone.get()): string {
  const ms = read(at);
  if (Number.isNaN(ms)) return "—";
  const sameDay = full(ms, timeZone).slice(0, 10) === full(ref, timeZone).slice(0, 10);
  return sameDay ? clock(ms, timeZone) : `${day(ms, timeZone)} ${clock(ms, timeZone)}`;
}

/** `00:00:48`, and `2 d 03:04:05` from a day on. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1_000));
  const pad = (n: number): string => String(n).padStart(2, "0");
  const days = Math.floor(s / 86_400);
  const rest = `${pad(Math.floor(s / 3_600) % 24)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  return days > 0 ? `${days} d ${rest}` : rest;
}

/** `CST`, `UTC+8`: short name of the city's zone. */
export function zoneName(timeZone = zone.get(), at = Date.now()): string {
  const found = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "shortOffset" })
    .formatToParts(at).find((part) => part.type === "timeZoneName");
  return (found?.value ?? timeZone).replace("GMT", "UTC");
}
