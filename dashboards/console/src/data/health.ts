// How the hub's parts do, as `GET /api/v1/health` says, and the deliveries that people may stop and start.

import { get, post, remove } from "./api";
import type { HubEvent } from "./rows";

export interface Driver { kind: string; state: "up" | "restarting" | "down"; since: string; addresses: Record<string, string>; restarts: number; last_error: string | null }

export interface Sink {
  kind: string; state: "up" | "retrying" | "paused" | "restarting"; since: string;
  cursor: number; attempts: number; delivered: number; lag_events: number; lag_s: number; parked: number; last_error: string | null;
}

export interface Report {
  status: "up" | "degraded";
  ready: boolean;
  version: string;
  started_at: string;
  uptime_s: number;
  now: string;
  addresses: Record<string, string>;
  drivers: Record<string, Driver>;
  sinks: Record<string, Sink>;
  store: {
    database_bytes: number; segment_bytes: number; segments: number; sealed_readings: number; wal_bytes: number; disk_free_bytes: number | null; last_commit: number; last_event: number;
  };
  storage: { state: "ample" | "low" | "full"; free_bytes: number; days_left: number | null; turned_away_values: number } | null;
  intake: {
    received: number; stored: number; duplicate: number; late: number; rejected: number; queued: number; capacity: number;
    last_minute?: { ack_ms: { p50: number | null; p99: number | null } };
  };
  rules?: { count: number; lag_ms: number };
  clock?: { offset_ms: number | null; moved_ms: number; devices_wrong: number };
  config?: { hash: string };
  journal: { commit: number; event: number };
  alarms: { rate_10min: number; in_flood: boolean; chattering: number; stale: number; state: Record<string, number> };
  devices: { total: number; online_rate: number | null; by_status: Record<string, number> };
  streams: { open: number; limit: number };
  canary: {
    state: "waiting" | "passing" | "failing" | "missing"; every_s: number; age_s: number; took_ms: number | null;
    stage: string | null; driver: string | null; reason: string | null; passes: number; failures: number; last_passed_at: string | null;
  } | null;
}

export interface Subscription { name: string; configured: boolean; paused: boolean; kind: string; url?: string; revision: number }

export interface ParkedEvent { seq: number; parked_at: string; reason: string; resending: boolean; event: HubEvent }

const at = (name: string): string => `subscriptions/${encodeURIComponent(name)}`;

export const plant = {
  report: (signal?: AbortSignal) => get<Report>("health", undefined, { signal }),
  canary: () => post<void>("canary"),
  /** What somebody far away needs to see what is wrong; none of it holds a secret. */
  bundle: async () => {
    const names = ["health", "ledger", "config/public", "rules", "subscriptions"];
    const parts = await Promise.all(names.map((name) => get<unknown>(name).catch((error: Error) => error.message)));
    return JSON.stringify(Object.fromEntries(names.map((name, at) => [name, parts[at]])), null, 1);
  },
  subscriptions: () => get<{ items: Subscription[] }>("subscriptions"),
  pause: (name: string) => post<unknown>(`${at(name)}/pause`, {}),
  resume: (name: string) => post<unknown>(`${at(name)}/resume`, {}),
  replay: (name: string, from: number | "beginning") => post<unknown>(`${at(name)}/replay`, { from }),
  parked: (name: string, after = 0) => get<{ items: ParkedEvent[]; next: number | null }>(`${at(name)}/parked`, { after, limit: 100 }),
  resend: (name: string, seq: number | null) => post<unknown>(`${at(name)}/parked/${seq === null ? "" : `${seq}/`}resend`, {}),
  drop: (name: string, seq: number) => remove<void>(`${at(name)}/parked/${seq}`),
};
