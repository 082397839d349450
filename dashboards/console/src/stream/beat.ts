// What an event of the stream means for the link: a beat, or something that cannot wait.

import type { Heartbeat, HubEvent } from "../data/rows";

export function isUrgent(event: HubEvent): boolean {
  const row = event.data as { severity?: string } | null;
  return /^cityhub\.alarm\.(raised|escalated)$/.test(event.type) && (row?.severity === "critical" || row?.severity === "major");
}

/** The beat of today and of before: `{seq, server_time}` or `{as_of_seq, now}`. */
export function beatOf(text: string): Heartbeat {
  const found = JSON.parse(text) as Partial<Heartbeat> & { as_of_seq?: number; now?: string };
  return { ...found, seq: found.seq ?? found.as_of_seq ?? 0, server_time: found.server_time ?? found.now ?? "" };
}
