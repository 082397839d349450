// Alarms of a stretch of the past, page by page: what strips by hour and verdicts are made of.

import { alarms } from "./hub";
import type { Alarm } from "./rows";

const PAGE = 1_000;
/** Beyond this a browser reads in vain; the figures then say from when they count. */
const ROWS_MAX = 20_000;

export interface Past {
  rows: Alarm[];
  /** From when on the rows are complete: the begin that was asked for, or later if there were too many. */
  complete_from: number;
}

/** People were told of it. */
export const wasTold = (row: Pick<Alarm, "announced_at" | "shadow">): boolean => row.announced_at !== null && !row.shadow;

/** Reads back to `fromMs`, of one rule or of all. */
export async function alarmsSince(fromMs: number, rule: string | null, signal?: AbortSignal, read: typeof alarms.list = alarms.list): Promise<Past> {
  const rows: Alarm[] = [];
  let cursor: string | null = null;
  do {
    const page = await read({ state: "all", rule, from: fromMs, limit: PAGE, cursor }, signal);
    rows.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && rows.length < ROWS_MAX);
  const last = rows[rows.length - 1];
  return { rows, complete_from: cursor === null || last === undefined ? fromMs : Date.parse(last.raised_at) };
}
