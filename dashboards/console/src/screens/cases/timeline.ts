// One line of time from what the case, its steps and its alarms tell.

import type { AlarmHappening, Case, CaseStep } from "../../data/rows";

export type Source = "hub" | "person" | "platform";

export interface Entry {
  key: string;
  at: string;
  source: Source;
  actor: string | null;
  /** What it is about: the opening, a step, or what happened to an alarm. */
  what: { type: "opened" } | { type: "step"; step: CaseStep } | { type: "alarm"; alarm: string; happening: AlarmHappening };
}

/** Alarms of a case that are looked at; the rest is in the list of alarms. */
export const ALARMS_MAX = 20;

/** Newest first; what is told of the same moment keeps the order of the ledger. */
export function timelineOf(row: Case, histories: ReadonlyMap<string, readonly AlarmHappening[]>): Entry[] {
  const found: Entry[] = [{ key: "opened", at: row.opened_at, source: "hub", actor: null, what: { type: "opened" } }];
  for (const step of row.steps) {
    found.push({ key: `step ${step.number}`, at: step.at, source: "platform", actor: step.actor, what: { type: "step", step } });
  }
  for (const [alarm, happenings] of histories) {
    for (const happening of happenings) {
      found.push({
        key: `${alarm} ${happening.seq}`, at: happening.at, source: happening.actor === null ? "hub" : "person", actor: happening.actor,
        what: { type: "alarm", alarm, happening },
      });
    }
  }
  return found.map((entry, order) => ({ entry, order }))
    .sort((a, b) => Date.parse(b.entry.at) - Date.parse(a.entry.at) || b.order - a.order).map(({ entry }) => entry);
}
