// What the fleet's views are made of: the matrix of districts and kinds, the tree of gateways, order, batteries.

import type { Device, DeviceStatus } from "../../data/rows";

/** Below this a battery is low (%), unless the city's rules say more. */
export const BATTERY_LOW_PCT = 20;

export function battery(row: Device): number | null {
  const value = row.latest?.battery_pct?.value;
  return typeof value === "number" ? value : null;
}

export function signal(row: Device): number | null {
  const value = row.latest?.signal_dbm?.value ?? row.latest?.rssi_dbm?.value;
  return typeof value === "number" ? value : null;
}

/** The street of a unit grid: its first nine digits (city, district, street); other codes stand for themselves. */
export function districtOf(grid: string | null): string {
  if (grid === null) return "";
  return /^\d{12,}$/.test(grid) ? grid.slice(0, 9) : grid;
}

export interface Cell {
  total: number;
  online: number;
}

export interface Matrix {
  kinds: string[];
  rows: { district: string; cells: (Cell | null)[]; sum: Cell }[];
  sum: Cell;
}

/** Devices online by district and kind; those that are disabled do not count. */
export function matrixOf(points: { kind: readonly string[]; status: readonly string[]; grid: readonly (string | null)[] }): Matrix {
  const kinds = [...new Set(points.kind)].sort();
  const byDistrict = new Map<string, { cells: (Cell | null)[]; sum: Cell }>();
  const sum: Cell = { total: 0, online: 0 };
  points.kind.forEach((kind, at) => {
    const status = points.status[at];
    if (status === "disabled") return;
    const district = districtOf(points.grid[at] ?? null);
    let row = byDistrict.get(district);
    if (row === undefined) byDistrict.set(district, row = { cells: kinds.map(() => null), sum: { total: 0, online: 0 } });
    const column = kinds.indexOf(kind);
    const cell = row.cells[column] ?? { total: 0, online: 0 };
    row.cells[column] = cell;
    for (const count of [cell, row.sum, sum]) {
      count.total += 1;
      if (status === "online") count.online += 1;
    }
  });
  const rows = [...byDistrict].map(([district, row]) => ({ district, ...row })).sort((a, b) => (a.district < b.district ? -1 : 1));
  return { kinds, rows, sum };
}

export interface Branch {
  /** Null gathers those that need no gateway. */
  gateway: Device | null;
  children: Device[];
  bad: number;
  /** Children that are silent because the gateway is. */
  caused: number;
}

/** Gateways with the devices below them; whoever is the cause of most comes first. */
export function treeOf(rows: readonly Device[]): Branch[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const branches = new Map<string, Branch>();
  const branch = (id: string, gateway: Device | null): Branch => {
    let found = branches.get(id);
    if (found === undefined) branches.set(id, found = { gateway, children: [], bad: 0, caused: 0 });
    return found;
  };
  for (const row of rows) if (row.kind === "gateway") branch(row.id, row);
  for (const row of rows) {
    if (row.kind === "gateway") continue;
    const parent = row.parent === undefined ? undefined : byId.get(row.parent);
    const to = branch(parent?.id ?? "", parent ?? null);
    to.children.push(row);
    if (row.enabled && row.status !== "online") to.bad += 1;
    if (row.status === "offline" && row.cause === "gateway") to.caused += 1;
  }
  return [...branches.values()].sort((a, b) => b.caused - a.caused || b.bad - a.bad || b.children.length - a.children.length);
}

export type SortKey = "id" | "name" | "kind" | "site" | "grid" | "last_seen" | "status" | "battery";
const RANK: Record<DeviceStatus, number> = { offline: 0, frozen: 1, clock_wrong: 2, never_seen: 3, online: 4 };

/** What is missing comes last in either direction. */
export function sorted(rows: readonly Device[], key: SortKey, down: boolean, compare: (a: string, b: string) => number): Device[] {
  const value = (row: Device): string | number | null => {
    if (key === "battery") return battery(row);
    if (key === "status") return RANK[row.status];
    if (key === "last_seen") return row.last_seen === null ? null : Date.parse(row.last_seen);
    return row[key] ?? null;
  };
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = value(a);
    const y = value(b);
    if (x === null || y === null) return x === y ? compare(a.id, b.id) : x === null ? 1 : -1;
    const order = typeof x === "number" && typeof y === "number" ? x - y : compare(String(x), String(y));
    return sign * order || compare(a.id, b.id);
  });
}

export interface RowNote { line?: number; row?: number; id?: string; field?: string; reason: string }

/** Rows that a refused import names, whatever else the problem says. */
export function notesOf(value: unknown): RowNote[] {
  return Array.isArray(value) ? (value as RowNote[]).filter((note) => typeof note?.reason === "string") : [];
}

export const shareOf = (cell: Cell): string => (cell.total === 0 ? "—" : `${((cell.online / cell.total) * 100).toFixed(cell.online === cell.total ? 0 : 1)} %`);
