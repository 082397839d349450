// What stands in the list, line by line: heads of groups and alarms.

import { groupAlarms, isUnacked, type AlarmGroup, type Grouping } from "../../data/alarm-order";
import type { Alarm } from "../../data/rows";

export type Line =
  | { type: "group"; key: string; group: AlarmGroup; open: boolean }
  | { type: "alarm"; key: string; row: Alarm; inGroup: boolean };

/**
 * Groups of one are drawn as their alarm alone. A group is open unless it was closed by hand, or
 * when a flood closes all that were not opened by hand.
 */
export function linesOf(rows: readonly Alarm[], by: Grouping, turned: ReadonlySet<string>, openAtFirst: boolean): Line[] {
  if (by === "none") return rows.map((row) => ({ type: "alarm", key: row.id, row, inGroup: false }));
  const lines: Line[] = [];
  for (const group of groupAlarms(rows, by)) {
    if (group.rows.length === 1) {
      lines.push({ type: "alarm", key: group.first.id, row: group.first, inGroup: false });
      continue;
    }
    const key = `group ${group.key}`;
    const open = turned.has(key) !== openAtFirst;
    lines.push({ type: "group", key, group, open });
    if (open) for (const row of group.rows) lines.push({ type: "alarm", key: row.id, row, inGroup: true });
  }
  return lines;
}

/** The members of a group that can be acknowledged at once: all were seen, or none. */
export function groupToAck(group: AlarmGroup, seen: (id: string) => boolean): Alarm[] | "unseen" {
  const rows = group.rows.filter(isUnacked);
  return rows.every((row) => seen(row.id)) ? rows : "unseen";
}
