// The clock of a case (处置时限), and what the address of the list means.

import type { Case } from "../../data/rows";
import { isEnded } from "./steps";

export interface Due {
  /** `in_time` and `late` are of cases that are over. */
  kind: "none" | "left" | "soon" | "over" | "still" | "in_time" | "late";
  /** Milliseconds until or since. */
  ms: number;
}

/** The last quarter of the time, or of an unknown one the last hour, is soon. */
export function dueOf(row: Pick<Case, "state" | "due_at" | "opened_at" | "closed_at" | "deferred_until">, nowMs: number): Due {
  if (!row.due_at || row.state === "voided") return { kind: "none", ms: 0 };
  const due = Date.parse(row.due_at);
  if (isEnded(row)) {
    const late = row.closed_at ? Date.parse(row.closed_at) - due : 0;
    return { kind: late > 0 ? "late" : "in_time", ms: Math.abs(late) };
  }
  if (row.state === "deferred") return { kind: "still", ms: row.deferred_until ? Math.max(0, Date.parse(row.deferred_until) - nowMs) : 0 };
  const left = due - nowMs;
  if (left <= 0) return { kind: "over", ms: -left };
  const whole = due - Date.parse(row.opened_at);
  return { kind: left < (whole > 0 ? whole / 4 : 3_600_000) ? "soon" : "left", ms: left };
}

/** A code of six digits is a district, of nine a street; anything else the beginning of a grid's code. */
export function areaQuery(text: string): { district?: string; street?: string; grid?: string } {
  const code = text.trim();
  if (code === "") return {};
  if (/^\d{6}$/.test(code)) return { district: code };
  if (/^\d{9}$/.test(code)) return { street: code };
  return { grid: code };
}

/** What the hub is asked for, from the query of the address. */
export function listQuery(query: URLSearchParams): Record<string, string> {
  const asked: Record<string, string> = { ...areaQuery(query.get("area") ?? "") };
  for (const name of ["state", "severity", "category", "kind", "unit", "device", "overdue", "queue", "q"]) {
    const value = query.get(name);
    if (value) asked[name] = value;
  }
  return asked;
}

/** Rows after events: those that are shown are replaced when theirs is newer; what is not shown makes the list stale. */
export function withEvents(rows: readonly Case[], events: readonly Case[]): { rows: readonly Case[]; unknown: number } {
  const newest = new Map<string, Case>();
  for (const row of events) {
    const before = newest.get(row.id);
    if (before === undefined || row.version > before.version) newest.set(row.id, row);
  }
  let changed = false;
  const next = rows.map((row) => {
    const event = newest.get(row.id);
    newest.delete(row.id);
    if (event === undefined || event.version <= row.version) return row;
    changed = true;
    return event;
  });
  return { rows: changed ? next : rows, unknown: newest.size };
}
