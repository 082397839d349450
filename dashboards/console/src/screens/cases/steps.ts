// Which steps a case may take next and what each needs, by the table in docs/en/cases.md; the hub has the last word.

import type { Case, CaseReport, CaseState, CaseStepName } from "../../data/rows";

/** The way of a case that nobody sends back. */
export const WAY: readonly CaseState[] = ["reported", "accepted", "dispatched", "handling", "fed_back", "verified", "closed"];

const EXTENSIONS_MAX = 2;

const FROM: Record<Exclude<CaseStepName, "supervise">, readonly CaseState[]> = {
  accept: ["reported"], dispatch: ["accepted"], handle: ["dispatched"], feedback: ["handling"], verify: ["fed_back"], close: ["verified"],
  return: ["accepted", "dispatched", "handling", "fed_back", "verified"], void: ["reported", "accepted", "dispatched"],
  extend: ["accepted", "dispatched", "handling"], defer: ["accepted", "dispatched", "handling"],
};

export const isEnded = (row: Pick<Case, "state">): boolean => row.state === "closed" || row.state === "voided";

/** A deferred case goes on from where it was put off. */
const standing = (row: Pick<Case, "state" | "deferred_from">): CaseState => (row.state === "deferred" ? row.deferred_from ?? "accepted" : row.state);

/** The step that goes on comes first; what leaves the way follows. */
export function possibleSteps(row: Pick<Case, "state" | "deferred_from" | "extensions" | "overdue">): CaseStepName[] {
  if (isEnded(row)) return [];
  const from = standing(row);
  const found = (Object.keys(FROM) as (keyof typeof FROM)[]).filter((step) => FROM[step].includes(from)
    && (step !== "extend" || ((row.extensions ?? 0) < EXTENSIONS_MAX && row.overdue !== true))
    && (step !== "defer" || row.state !== "deferred"));
  return [...found, "supervise"];
}

/** The step that goes on, as against those that leave the way. */
export const isForward = (step: CaseStepName): boolean => ["accept", "dispatch", "handle", "feedback", "verify", "close"].includes(step);

export interface Needs {
  note: boolean;
  until: "needed" | "offered" | "no";
  /** States that a return may go to, the nearest first. */
  to: CaseState[];
  /** The sensor still measures the violation, or nobody can tell (null): closing must be insisted on. */
  override: boolean;
}

export function needsOf(step: CaseStepName, row: Pick<Case, "state" | "deferred_from" | "violation">): Needs {
  const override = step === "close" && row.violation !== undefined && row.violation !== false;
  return {
    note: override || ["return", "void", "extend", "defer"].includes(step),
    until: step === "defer" ? "needed" : step === "extend" ? "offered" : "no",
    to: step === "return" ? WAY.slice(0, Math.max(0, WAY.indexOf(standing(row)))).reverse() : [],
    override,
  };
}

export interface Given { note: string; until: string; to: CaseState | ""; override: boolean }

/** What is missing, as the name of the field; null when the step can be sent. */
export function missing(needs: Needs, given: Given): "note" | "until" | "override" | null {
  if (needs.override && !given.override) return "override";
  if (needs.until === "needed" && given.until === "") return "until";
  return needs.note && given.note.trim() === "" ? "note" : null;
}

/** The report as it is sent; `until` is RFC 3339 already. */
export function reportOf(step: CaseStepName, needs: Needs, given: Given, version: number): CaseReport {
  const report: CaseReport = { step, version };
  if (given.note.trim() !== "") report.note = given.note.trim();
  if (given.until !== "" && needs.until !== "no") report.until = given.until;
  if (given.to !== "" && needs.to.includes(given.to)) report.to = given.to;
  if (needs.override && given.override) report.override = true;
  return report;
}
