// The list as a table for other programs.

import type { Alarm } from "../../data/rows";
import { csv } from "../../data/csv";
import { full } from "../../data/time";

export const EXPORT_ROWS_MAX = 100_000;

export interface ExportWords {
  severity(row: Alarm): string;
  state(row: Alarm): string;
  kind(row: Alarm): string;
  name(row: Alarm): string;
  head: readonly string[];
}

interface Page {
  items: Alarm[];
  next: string | null;
}

/** All pages, one after another, up to the most that a table may hold. */
export async function allPages(read: (cursor: string | null) => Promise<Page>): Promise<Alarm[]> {
  const rows: Alarm[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await read(cursor);
    rows.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && rows.length < EXPORT_ROWS_MAX);
  return rows.slice(0, EXPORT_ROWS_MAX);
}

/** The first line names the columns; times are the city's. */
export function alarmTable(rows: readonly Alarm[], words: ExportWords, timeZone: string): string {
  const at = (time: string | null): string => (time === null ? "" : full(time, timeZone));
  return csv([
    words.head,
    ...rows.slice(0, EXPORT_ROWS_MAX).map((row) => [
      row.id, words.severity(row), words.state(row), words.kind(row), row.site, words.name(row), row.device, row.grid, row.title ?? row.rule,
      row.metric, row.value, row.limit, row.unit, row.peak, at(row.raised_at), at(row.cleared_at), row.count, row.owner, row.case, row.note,
      row.rule, row.rule_revision,
    ]),
  ]);
}
