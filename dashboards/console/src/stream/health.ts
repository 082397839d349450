// How far the link can be trusted, from when the hub was last heard.

export type LinkState = "opening" | "live" | "late" | "broken" | "resync";

/** One beat every 5 s: after 8 s one was missed, after 20 s there is no link. */
const LATE_MS = 8_000;
const BROKEN_MS = 20_000;
/** A lost connection that is not back by then is broken; a restart of the hub takes less. */
const LOST_MS = 8_000;

export interface LinkFacts {
  nowMs: number;
  /** When the hub was last heard; null before the first time. */
  heardAtMs: number | null;
  /** Since when the connection is down; null while it is open. */
  lostAtMs: number | null;
  /** A snapshot is being read again, because the stream told of a hole. */
  reading: boolean;
}

export function judge(facts: LinkFacts): LinkState {
  const { nowMs, heardAtMs, lostAtMs, reading } = facts;
  const downMs = lostAtMs === null ? 0 : nowMs - lostAtMs;
  if (heardAtMs === null) return downMs > LOST_MS ? "broken" : "opening";
  const silentMs = nowMs - heardAtMs;
  if (silentMs > BROKEN_MS || downMs > LOST_MS) return "broken";
  if (reading) return "resync";
  return silentMs > LATE_MS || lostAtMs !== null ? "late" : "live";
}
