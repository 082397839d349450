// Users, tokens and the audit trail.

import { get, patch, post, remove } from "./api";
import type { Role } from "./rows";

export interface User {
  name: string;
  display_name: string;
  role: Role;
  enabled: boolean;
  must_change_password: boolean;
  created_at?: string;
  locked_until: string | null;
  last_seen: string | null;
}

export interface Token { name: string; role: Role; configured?: boolean }

export interface AuditRow {
  seq: number;
  at: string;
  actor: string;
  display_name?: string | null;
  role: string;
  action: string;
  subject: string;
  detail: unknown;
  hash: string;
}

export interface AuditPage { items: AuditRow[]; next: number; head: { seq: number; hash: string } }

const part = encodeURIComponent;

export const people = {
  users: () => get<{ items: User[] }>("users"),
  add: (body: { name: string; display_name: string; role: Role; password: string }) => post<User>("users", body),
  change: (name: string, body: Partial<Pick<User, "display_name" | "role" | "enabled">> & { password?: string }) => patch<User>(`users/${part(name)}`, body),
  remove: (name: string) => remove<void>(`users/${part(name)}`),
  unlock: (name: string) => post<User>(`users/${part(name)}/unlock`, {}),
  tokens: () => get<{ items: Token[] }>("tokens"),
  addToken: (name: string, role: Role) => post<Token & { token: string }>("tokens", { name, role }),
  removeToken: (name: string) => remove<void>(`tokens/${part(name)}`),
};

export const AUDIT_PAGE = 500;

/** The page that ends with the link `until`, newest first; links are numbered 1, 2, 3 … without holes. */
export async function auditUntil(until: number | null): Promise<{ rows: AuditRow[]; head: AuditPage["head"] }> {
  const head = (await get<AuditPage>("audit", { after: 0, limit: 1 })).head;
  const last = until ?? head.seq;
  const page = await get<AuditPage>("audit", { after: Math.max(0, last - AUDIT_PAGE), limit: AUDIT_PAGE });
  return { rows: page.items.filter((row) => row.seq <= last).reverse(), head };
}

export function matches(row: AuditRow, words: string): boolean {
  const text = `${row.seq} ${row.actor} ${row.display_name ?? ""} ${row.role} ${row.action} ${row.subject} ${JSON.stringify(row.detail ?? "")}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Computes every link again; a long chain takes its time. */
export const checkAudit = (): Promise<{ whole: boolean; links: number; reason: string }> => get("audit/check", undefined, { deadlineMs: 60_000 });

/** `key: value · key (key: value)`; what is not there is not said. */
export function detailText(detail: unknown): string {
  if (detail === null || detail === undefined) return "";
  if (typeof detail !== "object") return String(detail);
  if (Array.isArray(detail)) return detail.map(detailText).join(", ");
  const known = Object.entries(detail).filter(([, value]) => value !== null);
  return known.map(([key, value]) => (typeof value === "object" ? `${key} (${detailText(value)})` : `${key}: ${value}`)).join(" · ");
}
