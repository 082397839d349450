// Reads a series page after page, and then only what is new.

import { devices } from "../data/hub";
import type { Position, Series } from "../data/rows";
import type { Plan, Point } from "./points";

const PAGE = 10_000;
/** Above this the picture says no more, and the browser works in vain. */
export const POINTS_MAX = 20_000;

export interface Read {
  points: Point[];
  unit: string;
  cut: boolean;
}

/** Numbers alone; a truth value is a step between 0 and 1. */
export function numbers(points: Series["points"]): Point[] {
  const found: Point[] = [];
  for (const [at, value, quality] of points as [number, number | boolean | Position, string][]) {
    if (typeof value === "number") found.push([at, value, quality]);
    else if (typeof value === "boolean") found.push([at, value ? 1 : 0, quality]);
  }
  return found;
}

export async function readSeries(device: string, metric: string, fromMs: number, toMs: number, plan: Plan, signal?: AbortSignal): Promise<Read> {
  const query = {
    metric, from: Math.floor(fromMs), to: Math.ceil(toMs), limit: PAGE,
    ...(plan.agg === "raw" ? {} : { agg: plan.agg, step: plan.stepMs }),
  };
  const points: Point[] = [];
  let unit = "";
  let cursor: string | null | undefined;
  do {
    const page: Series = await devices.readings(device, { ...query, cursor }, signal);
    unit = page.unit;
    points.push(...numbers(page.points));
    cursor = page.next;
  } while (cursor && points.length < POINTS_MAX);
  return { points, unit, cut: Boolean(cursor) };
}
