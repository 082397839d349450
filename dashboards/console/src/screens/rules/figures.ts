// What rules did in the last seven days, from the alarms.

import { wasTold } from "../../data/alarms-since";
import type { Alarm } from "../../data/rows";

export const DAYS_7_MS = 7 * 86_400_000;

export interface Week { alarms: number; wrong: number; chattering: number; shadow: number }

export function weekOf(rows: readonly Alarm[]): Map<string, Week> {
  const found = new Map<string, Week>();
  for (const row of rows) {
    const week = found.get(row.rule) ?? { alarms: 0, wrong: 0, chattering: 0, shadow: 0 };
    if (row.shadow) week.shadow += 1;
    else if (wasTold(row)) {
      week.alarms += 1;
      if (row.verdict === "false_alarm") week.wrong += 1;
      if (row.chattering) week.chattering += 1;
    }
    found.set(row.rule, week);
  }
  return found;
}
