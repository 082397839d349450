// What happens to many alarms at once: counted before, told honestly after.

import { possible } from "../../data/alarm-actions";
import { SEVERITIES, type Alarm, type AlarmAction, type Severity } from "../../data/rows";

export interface Plan {
  rows: Alarm[];
  bySeverity: Record<Severity, number>;
  /** Severe alarms that were not on the screen: nobody has read them. */
  unseen: Alarm[];
  /** Whose state does not allow it. */
  impossible: Alarm[];
  /** Severe alarms that this person may not shelve. */
  forbidden: Alarm[];
}

export interface Asked {
  action: AlarmAction;
  seen: (id: string) => boolean;
  mayShelveCritical: boolean;
}

/** Ⅰ and Ⅱ are handled only by those who saw the row; a filter alone is not enough. */
export function plan(rows: readonly Alarm[], { action, seen, mayShelveCritical }: Asked): Plan {
  const found: Plan = { rows: [], bySeverity: { critical: 0, major: 0, minor: 0, warning: 0 }, unseen: [], impossible: [], forbidden: [] };
  for (const row of rows) {
    if (!possible(row).includes(action)) found.impossible.push(row);
    else if ((row.severity === "critical" || row.severity === "major") && !seen(row.id)) found.unseen.push(row);
    else if (action === "shelve" && row.severity === "critical" && !mayShelveCritical) found.forbidden.push(row);
    else {
      found.rows.push(row);
      found.bySeverity[row.severity] += 1;
    }
  }
  return found;
}

export const worstOf = (rows: readonly Alarm[]): Severity =>
  SEVERITIES.find((severity) => rows.some((row) => row.severity === severity)) ?? "warning";

/** A comment is asked for by the console before Ⅰ is acknowledged; the hub asks for it where it must. */
export function needsComment(action: AlarmAction, rows: readonly Alarm[]): boolean {
  if (action === "ack") return rows.some((row) => row.severity === "critical");
  return action === "false_alarm" || action === "comment" || action === "out_of_service";
}

const DAY_MIN = 1_440;

/** Minutes until the next change of shift, at 8 and 20 o'clock unless the city says otherwise. */
export function untilShiftEnds(clockText: string, starts: readonly string[] = ["08:00", "20:00"]): number {
  const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
  const now = minutes(clockText);
  return Math.min(...starts.map((start) => (minutes(start) - now + DAY_MIN - 1) % DAY_MIN + 1));
}
