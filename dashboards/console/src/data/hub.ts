// What the hub can be asked, by name: screens call these and never build an address themselves.

import { get, patch, post, put, remove, request } from "./api";
import type {
  Alarm, AlarmAction, AlarmHappening, AlarmPage, AlarmRequest, BulkAnswer, Case, CasePage, CaseReport, Device, DevicePage, Kpi, PublicConfig, Rule, RuleDone, RuleVersion, Series,
} from "./rows";

type Query = Record<string, string | number | boolean | null | undefined>;
const part = encodeURIComponent;

export const alarms = {
  list: (query: Query = {}, signal?: AbortSignal) => get<AlarmPage>("alarms", query, { signal }),
  one: (id: string) => get<Alarm>(`alarms/${part(id)}`),
  evidence: <T = unknown>(id: string, signal?: AbortSignal) => get<T>(`alarms/${part(id)}/evidence`, undefined, { signal }),
  history: (id: string, signal?: AbortSignal) => get<{ items: AlarmHappening[]; next: number | null }>(`alarms/${part(id)}/history`, undefined, { signal }),
  act: (id: string, action: AlarmAction, body: AlarmRequest, key?: string) =>
    post<Alarm>(`alarms/${part(id)}/${action}`, body, { key }),
  bulk: (action: AlarmAction, ids: string[], body: AlarmRequest, key?: string) =>
    post<BulkAnswer>("alarms/bulk", { action, ids, ...body }, { key, deadlineMs: 60_000 }),
};

export const devices = {
  list: (query: Query = {}, signal?: AbortSignal) => get<DevicePage>("devices", query, { signal }),
  one: (id: string, signal?: AbortSignal) => get<Device>(`devices/${part(id)}`, undefined, { signal }),
  readings: (id: string, query: Query, signal?: AbortSignal) => get<Series>(`devices/${part(id)}/readings`, query, { signal }),
  put: (rows: unknown[], dryRun = false) => put<unknown>(`devices${dryRun ? "?dry_run=true" : ""}`, rows),
  remove: (id: string) => remove<unknown>(`devices/${part(id)}`),
  importCsv: <T = unknown>(text: string, dryRun: boolean) =>
    put<T>(`devices${dryRun ? "?dry_run=true" : ""}`, text, { type: "text/csv", deadlineMs: 120_000 }),
  unclaimed: <T = unknown>() => get<T>("devices/unclaimed"),
};

export const cases = {
  list: (query: Query = {}, signal?: AbortSignal) => get<CasePage>("cases", query, { signal }),
  one: (id: string, signal?: AbortSignal) => get<Case>(`cases/${part(id)}`, undefined, { signal }),
  step: (id: string, body: CaseReport, key?: string) => post<Case>(`cases/${part(id)}/steps`, body, { key }),
  cap: async (id: string) => (await request(`cases/${part(id)}/cap`)).text(),
};

export const rules = {
  list: (figures?: "7d" | null, signal?: AbortSignal) => get<{ items: Rule[]; pending: RuleVersion[] }>("rules", { figures }, { signal }),
  one: (id: string, signal?: AbortSignal) => get<Rule>(`rules/${part(id)}`, undefined, { signal }),
  put: (id: string, body: unknown, reason: string) => put<RuleDone>(`rules/${part(id)}`, body, { query: { reason } }),
  remove: (id: string, reason: string) => remove<RuleDone>(`rules/${part(id)}`, { query: { reason } }),
  versions: (id: string, signal?: AbortSignal) => get<{ items: RuleVersion[] }>(`rules/${part(id)}/versions`, undefined, { signal }),
  decide: (id: string, act: string, revision: number, reason: string) => post<RuleDone>(`rules/${part(id)}/${act}`, { revision, reason }),
};

export const figures = {
  kpi: (query: Query, signal?: AbortSignal) => get<Kpi>("kpi", query, { signal, deadlineMs: 120_000 }),
  monthly: async (month: string, format: "html" | "csv", by: string) => (await request("reports/monthly", { query: { month, format, by }, deadlineMs: 120_000 })).text(),
};

export const city = {
  points: <T = unknown>(query: Query = {}, signal?: AbortSignal) => get<T>("map/points", query, { signal, deadlineMs: 30_000 }),
  layer: (name: string, signal?: AbortSignal) => get<unknown>(`map/layers/${part(name)}`, undefined, { signal, deadlineMs: 30_000 }),
};

export const system = {
  health: <T = Health>(signal?: AbortSignal) => get<T>("health", undefined, { signal }),
  config: () => get<PublicConfig>("config/public"),
  explain: <T = unknown>(query: Query, signal?: AbortSignal) => get<T>("explain", query, { signal }),
};

export { get, patch, post, put, remove };

/** The parts of `GET /api/v1/health` that the shell shows. */
export interface Health {
  city: { name: string; code: string; time_zone: string };
  now: string;
  version: string;
  canary?: { age_s: number | null; state: string; took_ms: number | null };
  alarms?: { rate_10min: number; in_flood: boolean; flood_since: string | null; state: Record<string, number> };
  devices?: { by_status: Record<string, number>; online_rate: number | null; total: number };
  [part: string]: unknown;
}
