// The way of a reading through the hub, as five boxes: each well, worth a look, or broken, and then what to do.

import type { Report } from "../../data/health";
import type { LinkState } from "../../stream/health";

export const LINKS = ["intake", "store", "rules", "desk", "reporting"] as const;
export type ChainLink = (typeof LINKS)[number];
export type Grade = "well" | "look" | "broken";

/** What is wrong; the words and the next step stand in `i18n/system.ts` under this name. */
export type Fault =
  | "no_drivers" | "driver_down" | "driver_restarting" | "not_ready" | "canary_failing" | "canary_missing" | "queue_full" | "queue_half"
  | "disk_full" | "disk_low" | "flood" | "link_broken" | "link_late" | "streams_full" | "sink_retrying" | "sink_restarting" | "sink_paused" | "sink_parked" | "sink_behind";

export interface Box { link: ChainLink; grade: Grade; faults: { fault: Fault; what: string; grade: Grade }[] }

const BEHIND_S = 60;
const QUEUE_LOOK = 0.5;
const QUEUE_BROKEN = 0.95;
const STREAMS_LOOK = 0.9;

/** Which box a stage of the canary belongs to; a stage of none is told at the intake, where it began. */
const STAGE: Record<string, ChainLink> = { protocol: "intake", store: "store", rule: "rules", event: "desk", subscriber: "reporting" };

function worst(found: readonly { grade: Grade }[]): Grade {
  return found.some((one) => one.grade === "broken") ? "broken" : found.some((one) => one.grade === "look") ? "look" : "well";
}

export function chainOf(report: Report, link: LinkState): Box[] {
  const found: Record<ChainLink, Box["faults"]> = { intake: [], store: [], rules: [], desk: [], reporting: [] };
  const say = (at: ChainLink, fault: Fault, grade: Grade, what = ""): void => { found[at].push({ fault, grade, what }); };

  const drivers = Object.entries(report.drivers);
  if (drivers.length === 0) say("intake", "no_drivers", "look");
  for (const [name, driver] of drivers) {
    if (driver.state === "down") say("intake", "driver_down", "broken", name);
    if (driver.state === "restarting") say("intake", "driver_restarting", "broken", name);
  }
  if (!report.ready) say("intake", "not_ready", "broken");
  const full = report.intake.capacity === 0 ? 0 : report.intake.queued / report.intake.capacity;
  if (full >= QUEUE_BROKEN) say("store", "queue_full", "broken", `${report.intake.queued}/${report.intake.capacity}`);
  else if (full >= QUEUE_LOOK) say("store", "queue_half", "look", `${report.intake.queued}/${report.intake.capacity}`);
  const disk = report.storage;
  if (disk?.state === "full") say("store", "disk_full", "broken", bytes(disk.free_bytes));
  else if (disk?.state === "low") say("store", "disk_low", "look", disk.days_left === null ? bytes(disk.free_bytes) : `${bytes(disk.free_bytes)}, ${Math.floor(disk.days_left)} d`);

  const canary = report.canary;
  if (canary?.state === "failing") say(STAGE[canary.stage ?? ""] ?? "intake", "canary_failing", "broken", [canary.driver, canary.reason].filter(Boolean).join(": "));
  if (canary?.state === "missing") say("rules", "canary_missing", "broken");
  if (report.alarms.in_flood) say("rules", "flood", "look", String(report.alarms.rate_10min));

  if (link === "broken") say("desk", "link_broken", "broken");
  if (link === "late") say("desk", "link_late", "look");
  if (report.streams.limit > 0 && report.streams.open / report.streams.limit >= STREAMS_LOOK) say("desk", "streams_full", "look", `${report.streams.open}/${report.streams.limit}`);

  for (const [name, sink] of Object.entries(report.sinks)) {
    if (sink.state === "retrying") say("reporting", "sink_retrying", "broken", name);
    else if (sink.state === "restarting") say("reporting", "sink_restarting", "broken", name);
    else if (sink.state === "paused") say("reporting", "sink_paused", "look", name);
    else if (sink.lag_s > BEHIND_S) say("reporting", "sink_behind", "look", name);
    if (sink.parked > 0) say("reporting", "sink_parked", "look", name);
  }
  return LINKS.map((one) => ({ link: one, faults: found[one], grade: worst(found[one]) }));
}

/** What went through per second between two reports; null before the second one, or after a restart. */
export function rate(before: Report | null, after: Report, of: (report: Report) => number): number | null {
  if (before === null || before.started_at !== after.started_at) return null;
  const seconds = (Date.parse(after.now) - Date.parse(before.now)) / 1_000;
  const more = of(after) - of(before);
  return seconds > 0 && more >= 0 ? more / seconds : null;
}

export function rateText(found: number | null): string {
  return found === null ? "—" : found >= 100 ? String(Math.round(found)) : found.toFixed(1);
}

export function bytes(n: number | null): string {
  if (n === null) return "—";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
