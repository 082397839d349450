// What happened to one alarm, from the hub's events.

import { get } from "./api";
import type { Alarm, HubEvent } from "./rows";

export interface Happening {
  key: string;
  at: string;
  /** Last part of the event's type, such as `raised`; `case` for its case. */
  what: string;
  /** Further words: severity, owner, reason, comment. */
  row: Alarm | null;
}

interface EventPage {
  items: HubEvent<Alarm>[];
  next: number;
}

const EVENTS_MAX = 200;

export function happeningsOf(events: readonly HubEvent<Alarm>[]): Happening[] {
  return events.map((event) => ({
    key: event.id, at: event.time, what: event.type.split(".").pop() ?? event.type, row: event.data,
  }));
}

/** What the row itself tells, for a hub that cannot be asked for the events of one alarm. */
export function happeningsInRow(row: Alarm): Happening[] {
  const found: Happening[] = [{ key: "raised", at: row.raised_at, what: "raised", row: null }];
  if (row.cleared_at !== null) found.push({ key: "cleared", at: row.cleared_at, what: "cleared", row: null });
  return found;
}

export async function readHappenings(row: Alarm, signal?: AbortSignal): Promise<Happening[]> {
  try {
    const page = await get<EventPage>("events", { subject: row.id, limit: EVENTS_MAX }, { signal });
    return page.items.length > 0 ? happeningsOf(page.items) : happeningsInRow(row);
  } catch {
    return happeningsInRow(row);
  }
}

/** What a person or the engine said at that moment, compared with the moment before. */
export function remark(now: Happening, before: Happening | undefined): string {
  const row = now.row;
  if (row === null) return "";
  const parts: string[] = [];
  const told = before?.row ?? null;
  if (row.owner !== null && row.owner !== (told?.owner ?? null)) parts.push(row.owner);
  if (now.what === "shelved" && row.shelve_reason !== null) parts.push(row.shelve_reason);
  if (row.note !== null && row.note !== (told?.note ?? null)) parts.push(`“${row.note}”`);
  return parts.join(" · ");
}
