// What the wall decides: bars of a day, when it is stale, where it moves so that nothing burns in, when it loads itself anew.

import type { Link } from "../../stream/link";

const HOUR_MS = 3_600_000;

/** Alarms by hour, the oldest of 24 first; the last is the hour until now. */
export function hoursOf(raisedAt: readonly number[], nowMs: number): number[] {
  const bars = Array.from({ length: 24 }, () => 0);
  for (const at of raisedAt) {
    const back = Math.floor((nowMs - at) / HOUR_MS);
    if (at <= nowMs && back < 24) bars[23 - back] = (bars[23 - back] ?? 0) + 1;
  }
  return bars;
}

/** Milliseconds without data, or null while the link is well. */
export function staleMs(link: Pick<Link, "state" | "heardAt" | "since">, nowMs: number): number | null {
  if (link.state === "live" || link.state === "opening") return null;
  return Math.max(0, nowMs - (link.heardAt ?? link.since));
}

const STEP_MS = 600_000;
const PATH: readonly [number, number][] = [[0, 0], [2, 0], [2, 2], [0, 2]];

/** Two pixels every ten minutes, around a square. */
export function shiftAt(nowMs: number): [number, number] {
  return PATH[Math.floor(nowMs / STEP_MS) % PATH.length] ?? [0, 0];
}

/** Once a day at four, and whenever the hub runs another build than the page came with. */
export function mustReload(before: string, now: string, firstBuild: string | null, build: string | null): boolean {
  const four = before.slice(11, 13) === "03" && now.slice(11, 13) === "04";
  return four || (firstBuild !== null && build !== null && build !== firstBuild);
}
