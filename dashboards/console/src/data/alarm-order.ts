// In which order alarms are read, and how they are put together.

import { SEVERITIES, type Alarm, type AlarmState, type Severity } from "./rows";

/** Unacknowledged first; what is set aside last (ISA-18.2 states). */
const GROUPS: Record<AlarmState, number> = {
  active_unacked: 0, latched_unacked: 0, cleared_unacked: 1, active_acked: 2, latched_acked: 2,
  normal: 3, shelved: 4, suppressed: 5, out_of_service: 6,
};

const RANK: Record<Severity, number> = { critical: 0, major: 1, minor: 2, warning: 3 };

export const stateGroup = (state: AlarmState): number => GROUPS[state] ?? 9;
export const severityRank = (severity: Severity): number => RANK[severity] ?? 9;
export const isUnacked = (row: Pick<Alarm, "state">): boolean => row.state.endsWith("_unacked");
/** In the main list: what is shelved, suppressed or out of service has tabs of its own. */
export const isOpen = (row: Pick<Alarm, "state">): boolean => stateGroup(row.state) <= 2;

/** State group, severity, newest first; the id decides between equals, so that the order is stable. */
export function compareAlarms(a: Alarm, b: Alarm): number {
  return stateGroup(a.state) - stateGroup(b.state)
    || severityRank(a.severity) - severityRank(b.severity)
    || (a.raised_at < b.raised_at ? 1 : a.raised_at > b.raised_at ? -1 : 0)
    || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Where `row` is in rows that are in order, or would be put. */
export function placeOf(rows: readonly Alarm[], row: Alarm): number {
  let from = 0;
  let to = rows.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    const other = rows[middle];
    if (other !== undefined && compareAlarms(other, row) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

export const GROUPINGS = ["none", "site", "grid", "device", "rule"] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface AlarmGroup {
  key: string;
  rows: Alarm[];
  /** The member that is read first: its state and severity are those of the group. */
  first: Alarm;
  newest: string;
  count: number;
}

function keyOf(row: Alarm, by: Grouping): string {
  if (by === "site") return row.site ?? row.device;
  if (by === "grid") return row.grid ?? "";
  if (by === "device") return row.device;
  if (by === "rule") return row.rule;
  return row.id;
}

/** Groups keep the order of their first members; `rows` are in order. */
export function groupAlarms(rows: readonly Alarm[], by: Grouping): AlarmGroup[] {
  const groups = new Map<string, AlarmGroup>();
  for (const row of rows) {
    const key = keyOf(row, by);
    const found = groups.get(key);
    if (found === undefined) {
      groups.set(key, { key, rows: [row], first: row, newest: row.raised_at, count: row.count });
    } else {
      found.rows.push(row);
      found.count += row.count;
      if (row.raised_at > found.newest) found.newest = row.raised_at;
    }
  }
  return [...groups.values()];
}

export interface AlarmFilter {
  severities: readonly Severity[];
  kinds: readonly string[];
  states: readonly AlarmState[];
  grid: string;
  site: string;
  text: string;
}

export const NO_FILTER: AlarmFilter = { severities: [], kinds: [], states: [], grid: "", site: "", text: "" };

export function isFiltered(filter: AlarmFilter): boolean {
  return filter.severities.length + filter.kinds.length + filter.states.length > 0
    || filter.grid !== "" || filter.site !== "" || filter.text !== "";
}

/** `names` are further words of a row, such as the name of its kind. */
export function fits(row: Alarm, filter: AlarmFilter, names: (row: Alarm) => string = () => ""): boolean {
  if (filter.severities.length > 0 && !filter.severities.includes(row.severity)) return false;
  if (filter.kinds.length > 0 && !filter.kinds.includes(row.kind)) return false;
  if (filter.states.length > 0 && !filter.states.includes(row.state)) return false;
  if (filter.grid !== "" && row.grid !== filter.grid) return false;
  if (filter.site !== "" && row.site !== filter.site) return false;
  if (filter.text === "") return true;
  const words = `${row.id} ${row.device} ${row.device_name ?? ""} ${row.site ?? ""} ${row.grid ?? ""} ${row.title ?? ""} ${row.rule} ${row.owner ?? ""} ${names(row)}`.toLowerCase();
  return filter.text.toLowerCase().split(/\s+/).every((word) => words.includes(word));
}

export const severityOf = (key: string): Severity | undefined => SEVERITIES[Number(key) - 1];
