// Alarms of a stretch of the past, read back page by page: what figures by rule and by hour are made of.

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

export async function alarmsSince(fromMs: number, signal?: AbortSignal, read: typeof alarms.list = alarms.list): Promise<Past> {
  const rows: Alarm[] = [];
  let cursor: string | null = null;
  for (;;) {
    const page = await read({ state: "all", limit: PAGE, cursor }, signal);
    rows.push(...page.items);
    cursor = page.next;
    const last = page.items[page.items.length - 1];
    const reached = last === undefined || Date.parse(last.raised_at) < fromMs;
    if (reached || cursor === null) return { rows: rows.filter((row) => Date.parse(row.raised_at) >= fromMs), complete_from: fromMs };
    if (rows.length >= ROWS_MAX) return { rows, complete_from: Date.parse(last.raised_at) };
  }
}
