// What stands in the list, line by line: heads of groups and alarms.

import { groupAlarms, isUnacked, type AlarmGroup, type Grouping } from "../../data/alarm-order";
import type { Alarm } from "../../data/rows";

export type Line =
  | { type: "group"; key: string; group: AlarmGroup; open: boolean }
  | { type: "alarm"; key: string; row: Alarm; inGroup: boolean };

const single = new WeakMap<Alarm, Line>();
const member = new WeakMap<Alarm, Line>();

/** The same row is the same line, so that what did not change is not drawn again. */
function lineOf(row: Alarm, inGroup: boolean): Line {
  const known = inGroup ? member : single;
  let line = known.get(row);
  if (line === undefined) {
    line = { type: "alarm", key: row.id, row, inGroup };
    known.set(row, line);
  }
  return line;
}

/**
 * Groups of one are drawn as their alarm alone. A group is open unless it was closed by hand, or
 * when a flood closes all that were not opened by hand.
 */
export function linesOf(rows: readonly Alarm[], by: Grouping, turned: ReadonlySet<string>, openAtFirst: boolean): Line[] {
  if (by === "none") return rows.map((row) => lineOf(row, false));
  const lines: Line[] = [];
  for (const group of groupAlarms(rows, by)) {
    if (group.rows.length === 1) {
      lines.push(lineOf(group.first, false));
      continue;
    }
    const key = `group ${group.key}`;
    const open = turned.has(key) !== openAtFirst;
    lines.push({ type: "group", key, group, open });
    if (open) for (const row of group.rows) lines.push(lineOf(row, true));
  }
  return lines;
}

/** The members of a group that can be acknowledged at once: all were seen, or none. */
export function groupToAck(group: AlarmGroup, seen: (id: string) => boolean): Alarm[] | "unseen" {
  const rows = group.rows.filter(isUnacked);
  return rows.every((row) => seen(row.id)) ? rows : "unseen";
}
