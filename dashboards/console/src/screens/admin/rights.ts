// Who may do what (contract, section 10), as a table to read; the hub decides in any case.

import type { Role } from "../../data/rows";

export const ROLES: readonly Role[] = ["viewer", "officer", "supervisor", "engineer", "admin", "auditor", "platform"];

export const HOLDERS: Record<string, readonly Role[]> = {
  read: ROLES.filter((role) => role !== "platform"),
  act: ["officer", "supervisor", "admin"],
  shelve_critical: ["supervisor", "admin"],
  sign_handover: ["supervisor", "admin"],
  approve: ["supervisor", "admin"],
  edit: ["engineer", "admin"],
  admin: ["admin"],
  audit: ["auditor", "admin"],
  backtest: ["supervisor", "engineer", "admin"],
  report_steps: ["platform", "supervisor", "admin"],
};

export const holds = (role: Role, right: string): boolean => HOLDERS[right]?.includes(role) ?? false;
