// What happened to one alarm, as the hub tells it.

import { alarms } from "./hub";
import type { Alarm, AlarmHappening } from "./rows";

/** Before the hub has answered, the row itself tells when it began and ended. */
export function happeningsInRow(row: Alarm): AlarmHappening[] {
  const first: AlarmHappening = {
    seq: 0, at: row.raised_at, kind: "raised", actor: null, comment: null, severity: row.severity, state: row.state, value: null, limit: null, unit: null,
    owner: null, shelved_until: null, shelve_reason: null, suppressed_by: null, verdict: null, case: null, note: null,
  };
  return row.cleared_at === null ? [first] : [first, { ...first, seq: 1, at: row.cleared_at, kind: "cleared" }];
}

export async function readHappenings(id: string, signal?: AbortSignal): Promise<AlarmHappening[]> {
  return (await alarms.history(id, signal)).items;
}

/** What was said and decided at that moment, and by whom. */
export function remark(one: AlarmHappening): string {
  const parts: string[] = [];
  if (one.actor !== null) parts.push(one.actor);
  if (one.kind === "assigned" && one.owner !== null) parts.push(`→ ${one.owner}`);
  if (one.kind === "shelved" && one.shelve_reason !== null) parts.push(one.shelve_reason);
  if (one.kind === "suppressed" && one.suppressed_by !== null) parts.push(one.suppressed_by);
  if (one.comment !== null && one.comment !== "") parts.push(`“${one.comment}”`);
  return parts.join(" · ");
}
