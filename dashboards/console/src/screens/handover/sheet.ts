// What a handover comes down to: what is still to be gone through, who may sign when, and what was typed but not kept.

import type { Handover, HandoverHead, Part } from "../../data/shift";

export const NUMBERED = ["open_alarms", "set_aside", "cases", "devices", "changes", "system", "figures", "log", "checklist"] as const;
export type SectionName = (typeof NUMBERED)[number];
/** What lists things that one person explains to the other. */
export const TOLD = ["open_alarms", "set_aside", "cases", "devices", "changes"] as const;
export type ToldName = (typeof TOLD)[number];
/** The hub takes no outgoing signature before this was gone through. */
export const MUST: ToldName = "set_aside";

export const countOf = (paper: Handover, name: ToldName): number => paper.sections[name].count;

/** Sections that have something in them and were not gone through. */
export function untold(paper: Handover): ToldName[] {
  return TOLD.filter((name) => countOf(paper, name) > 0 && !paper.explained[name]);
}

export const signatureOf = (paper: Pick<HandoverHead, "signatures">, part: Part) => paper.signatures.find((one) => one.part === part);

export const called = (one: { name: string; display_name?: string | null } | undefined): string => one?.display_name || (one?.name ?? "—");

export type Phase = "frozen" | "preparing" | "open" | "half_signed" | "overdue";

export function phaseOf(paper: HandoverHead, nowMs: number): Phase {
  if (paper.state === "frozen") return "frozen";
  if (paper.is_overdue || nowMs >= Date.parse(paper.overdue_at)) return "overdue";
  if (paper.signatures.length > 0) return "half_signed";
  return nowMs >= Date.parse(paper.opens_at) ? "open" : "preparing";
}

export type Obstacle = "signed" | "must_tell" | "too_early" | null;

/** Why a part cannot be signed now. */
export function obstacle(paper: Handover, part: Part, nowMs: number): Obstacle {
  if (signatureOf(paper, part)) return "signed";
  if (part === "outgoing" && countOf(paper, MUST) > 0 && !paper.explained[MUST]) return "must_tell";
  if (part === "incoming" && nowMs < Date.parse(paper.opens_at)) return "too_early";
  return null;
}

const key = (id: number, part: Part): string => `cityhub.handover.${id}.${part}`;

/** Typed text outlives the page until the hub has it. */
export function keepTyped(id: number, part: Part, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(key(id, part));
    else localStorage.setItem(key(id, part), text);
  } catch {
    // The text then lasts as long as the page.
  }
}

export function typedBefore(id: number, part: Part): string | null {
  try {
    return localStorage.getItem(key(id, part));
  } catch {
    return null;
  }
}

/** Halves of a hash in groups, so that two people can compare it aloud. */
export function grouped(hash: string): string {
  return hash.match(/.{1,8}/g)?.join(" ") ?? hash;
}

export function gigabytes(bytes: number | null): string {
  return bytes === null ? "—" : `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`;
}

/** Gateways behind which several devices are in trouble, the largest first: one cause, not many. */
export function behind(items: readonly { parent?: string | null }[], least = 3): { parent: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { parent } of items) if (parent) counts.set(parent, (counts.get(parent) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= least).map(([parent, count]) => ({ parent, count })).sort((a, b) => b.count - a.count).slice(0, 3);
}
