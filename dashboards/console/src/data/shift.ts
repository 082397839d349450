// The shift: its log, the handover that is being prepared, and those that are frozen.

import { get, post, put } from "./api";
import { cell } from "./cell";
import type { Alarm, Case, DeviceStatus, Role, Severity } from "./rows";

export const LOG_KINDS = ["note", "patrol", "sound_test", "call", "instruction"] as const;
export type LogKind = (typeof LOG_KINDS)[number];

export interface LogEntry { id: number; at: string; actor: string; kind: LogKind; text: string }

export const PARTS = ["outgoing", "incoming"] as const;
export type Part = (typeof PARTS)[number];

export interface Signature { part: Part; name: string; display_name?: string | null; role: Role; at: string }

interface Listed<T> { count: number; items: T[] }

export interface Sections {
  open_alarms: Listed<Alarm>;
  set_aside: Listed<Alarm>;
  cases: Listed<Case> & { more?: boolean };
  devices: Listed<{ id: string; name?: string | null; kind: string; site?: string | null; parent?: string | null; status: DeviceStatus; since: string | null }>
    & { status: Partial<Record<DeviceStatus, number>> };
  /** `times`: to so many things in one go, of which `subject` is the first. */
  changes: Listed<{ at: string; actor: string; action: string; subject: string; times: number }>;
  system: {
    ready: boolean;
    canary: { state: string; age_s: number | null; last_passed_at?: string | null } | null;
    outbox_events: number;
    sinks: Record<string, { state: string; lag_events: number; parked: number }>;
    disk_free_bytes: number | null;
  };
  figures: { alarms: number; severity: Record<Severity, number>; false_alarms: number };
  log: Listed<LogEntry> & { kinds: Record<LogKind, number> };
  checklist: { items: { name: string; text: string; done: boolean }[] };
}

/** What a handover says beside its sections: of a draft, or of one that is frozen. */
export interface HandoverHead {
  id: number;
  version: number;
  state: "draft" | "frozen";
  shift: string;
  began_at: string;
  ends_at: string;
  opens_at: string;
  overdue_at: string;
  is_overdue: boolean;
  responsible: string | null;
  responsible_name?: string | null;
  explained: Record<string, boolean>;
  checklist: Record<string, boolean>;
  opinions: Record<Part, string>;
  signatures: Signature[];
  frozen_at?: string;
  hash?: string;
  intact?: boolean;
}

export interface Handover extends HandoverHead {
  as_of_seq: number;
  sections: Sections;
}

export interface HandoverPut {
  explained?: Record<string, boolean>;
  checklist?: Record<string, boolean>;
  opinions?: Partial<Record<Part, string>>;
}

export const shifts = {
  draft: (signal?: AbortSignal) => get<Handover>("handover", undefined, { signal, deadlineMs: 30_000 }),
  put: (version: number, change: HandoverPut) => put<HandoverHead>("handover", { version, ...change }),
  sign: (body: { part: Part; user: string; password: string; version: number }) => post<HandoverHead>("handover/sign", body, { deadlineMs: 30_000 }),
  list: (before?: number) => get<{ items: HandoverHead[]; next: number | null }>("handovers", { before, limit: 50 }),
  one: (id: string) => get<Handover>(`handovers/${encodeURIComponent(id)}`),
  write: (kind: LogKind, text: string, key?: string) => post<{ at: string }>("shift-log", { kind, text }, { key }),
};

/** Somebody wants to write into the log: the frame shows the dialog. */
export const noteWanted = cell<LogKind | null>(null);
/** Grows when an entry was written here. */
export const written = cell(0);

/** The shift that is on now: its name, its times, and whether it should have been handed over. */
export const shiftNow = cell<Pick<HandoverHead, "shift" | "began_at" | "ends_at" | "is_overdue"> | null>(null);
