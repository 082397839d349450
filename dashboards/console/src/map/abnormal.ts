// What is not normal, as marks: never hidden in a cluster, and grouped by grid only when there are hundreds.

import { compareAlarms, isOpen, isUnacked, severityRank } from "../data/alarm-order";
import type { Alarm, Severity } from "../data/rows";

export interface Mark {
  /** The device, or the grid of a group. */
  key: string;
  x: number;
  y: number;
  kind: string;
  severity: Severity;
  /** Filled while nobody has acknowledged. */
  unacked: boolean;
  /** Still measured; else only waiting for somebody to acknowledge. */
  active: boolean;
  /** Alarms behind this mark; of a single alarm, how often it rang. */
  count: number;
  /** The alarms, as they are read. */
  alarms: Alarm[];
  group: boolean;
}

export const MARKS_MAX = 500;

export interface Placed {
  x: number;
  y: number;
}

export interface Abnormal {
  marks: Mark[];
  /** Alarms whose device has no place on the map. */
  nowhere: Alarm[];
}

/** One mark for each device that has an open alarm, in the order of the list. */
export function marksOf(rows: readonly Alarm[], place: (device: string) => Placed | undefined, shows: (row: Alarm) => boolean = isOpen): Abnormal {
  const marks = new Map<string, Mark>();
  const nowhere: Alarm[] = [];
  for (const row of [...rows].sort(compareAlarms)) {
    if (!shows(row) || row.shadow) continue;
    const at = place(row.device);
    if (at === undefined) {
      nowhere.push(row);
      continue;
    }
    const found = marks.get(row.device);
    if (found === undefined) {
      marks.set(row.device, {
        key: row.device, x: at.x, y: at.y, kind: row.kind, severity: row.severity, unacked: isUnacked(row), active: row.active, count: row.count, alarms: [row], group: false,
      });
      continue;
    }
    found.alarms.push(row);
    found.count = found.alarms.length;
    add(found, row);
  }
  return { marks: [...marks.values()], nowhere };
}

/** The worst that is not acknowledged decides; only when all are, the worst of all. */
function add(mark: Mark, row: Pick<Alarm, "state" | "severity" | "active">): void {
  mark.active ||= row.active;
  const unacked = isUnacked(row);
  const worse = severityRank(row.severity) < severityRank(mark.severity);
  if ((unacked && !mark.unacked) || (unacked === mark.unacked && worse)) {
    mark.severity = row.severity;
    mark.unacked = unacked;
  }
}

/** As they are while they are few; else one for each grid, which says how many. Every alarm stays counted. */
export function fannedOut(marks: readonly Mark[], most = MARKS_MAX): Mark[] {
  if (marks.length <= most) return [...marks];
  const groups = new Map<string, { mark: Mark; members: number }>();
  for (const mark of marks) {
    const grid = mark.alarms[0]?.grid ?? "";
    const found = groups.get(grid);
    if (found === undefined) {
      groups.set(grid, { mark: { ...mark, key: `grid ${grid}`, alarms: [...mark.alarms], count: mark.alarms.length, group: true }, members: 1 });
      continue;
    }
    const { mark: group, members } = found;
    group.x = (group.x * members + mark.x) / (members + 1);
    group.y = (group.y * members + mark.y) / (members + 1);
    found.members += 1;
    group.alarms.push(...mark.alarms);
    group.count = group.alarms.length;
    add(group, { severity: mark.severity, active: mark.active, state: mark.unacked ? "active_unacked" : "active_acked" });
  }
  return [...groups.values()].map(({ mark }) => mark);
}

/** Whether a mark can be acknowledged as it stands: Ⅰ and Ⅱ are not, while a group hides which they are. */
export function pickable(mark: Mark): boolean {
  return mark.unacked && !(mark.group && mark.alarms.some((row) => isUnacked(row) && severityRank(row.severity) < 2));
}

export interface GridState {
  /** Worst severity that nobody has acknowledged: the outline; null draws none. */
  severity: Severity | null;
  /** Such an alarm is still measured: then the grid is hatched, too. */
  active: boolean;
  open: number;
  /** 0 to 5 by the alarms of the last ten minutes. */
  heat: number;
  recent: number;
}

/** Steps of the heat: 1, 2, 3 to 4, 5 to 9, 10 and more in ten minutes. */
export function heatStep(n: number): number {
  return n >= 10 ? 5 : n >= 5 ? 4 : n >= 3 ? 3 : n;
}

export const HEAT_MS = 600_000;

export function gridStates(rows: readonly Alarm[], nowMs: number): Map<string, GridState> {
  const found = new Map<string, GridState>();
  for (const row of rows) {
    if (row.grid === null || row.shadow) continue;
    const state = found.get(row.grid) ?? { severity: null, active: false, open: 0, heat: 0, recent: 0 };
    found.set(row.grid, state);
    const at = Date.parse(row.raised_at);
    if (at <= nowMs && nowMs - at < HEAT_MS) {
      state.recent += 1;
      state.heat = heatStep(state.recent);
    }
    if (!isOpen(row)) continue;
    state.open += 1;
    if (!isUnacked(row)) continue;
    state.active ||= row.active;
    if (state.severity === null || severityRank(row.severity) < severityRank(state.severity)) state.severity = row.severity;
  }
  return found;
}

/** Which alarms were active at a moment of the past; acknowledgement is not replayed. */
export function activeAt(rows: readonly Alarm[], atMs: number): Alarm[] {
  return rows.filter((row) => Date.parse(row.raised_at) <= atMs && (row.cleared_at === null || Date.parse(row.cleared_at) > atMs) && row.suppressed_by === null)
    .map((row) => ({ ...row, state: "active_unacked", active: true, cleared_at: null }));
}
