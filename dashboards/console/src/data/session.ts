// Who sits at the desk and what that person may do.

import { Problem, get, giveAccess, post, remove } from "./api";
import { cell, type Cell } from "./cell";
import type { Right, Role, Session } from "./rows";

const TOKEN = "cityhub.token";
const ALIVE_MS = 60_000;

export type Phase = "asking" | "signed_out" | "signed_in" | "unreachable";

export interface Desk {
  phase: Phase;
  session: Session | null;
  /** Why the sign-in screen is shown, as the code of a problem. */
  reason: string | null;
}

/** Somebody wants to act on a locked desk: the frame asks for the password. */
export const unlockWanted = cell(false);

export const desk: Cell<Desk> = cell<Desk>({ phase: "asking", session: null, reason: null });

/** What each role may do, until the hub says so itself (contract, section 10). */
const RIGHTS: Record<Role, Right[]> = {
  viewer: ["read"],
  officer: ["read", "act"],
  supervisor: ["read", "act", "shelve_critical", "sign_handover", "approve"],
  engineer: ["read", "edit"],
  admin: ["read", "act", "shelve_critical", "sign_handover", "approve", "edit", "admin", "audit"],
  auditor: ["read", "audit"],
  platform: ["read"],
};

export function completed(found: Partial<Session> & Pick<Session, "name" | "role">, via: Session["via"]): Session {
  return {
    ...found,
    via: found.via ?? via,
    rights: found.rights ?? RIGHTS[found.role] ?? ["read"],
    must_change_password: found.must_change_password ?? false,
    locked: found.locked ?? false,
    lock_after_s: found.lock_after_s ?? 1800,
  };
}

export function may(session: Session | null, right: Right): boolean {
  return session !== null && session.rights.includes(right);
}

let token: string | null = null;

export const tokenNow = (): string | null => token;

function keepToken(next: string | null): void {
  token = next;
  try {
    if (next === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, next);
  } catch {
    // The token then lasts as long as the page.
  }
}

/** Takes `#token=` out of an address once; the token is wiped before anything else can read it. */
export function tokenOf(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token");
}

function signedIn(session: Session): void {
  desk.set({ phase: "signed_in", session, reason: null });
}

async function ask(): Promise<void> {
  try {
    const found = await get<Session>("session", undefined, { quiet: true });
    signedIn(completed(found, token === null ? "session" : "token"));
  } catch (error) {
    const problem = error as Problem;
    if (problem.status === 401 || problem.status === 403) {
      const had = token !== null;
      keepToken(null);
      desk.set({ phase: "signed_out", session: null, reason: had ? "bad_token" : null });
    } else {
      desk.set({ phase: "unreachable", session: null, reason: problem.code });
    }
  }
}

/** The first thing that the page does. */
export async function beginSession(): Promise<void> {
  giveAccess({ token: tokenNow, refused });
  const given = tokenOf(location.hash);
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  let kept: string | null = null;
  try {
    kept = sessionStorage.getItem(TOKEN);
  } catch {
    kept = null;
  }
  keepToken(given ?? kept);
  await ask();
}

export async function askAgain(): Promise<void> {
  desk.update((now) => ({ ...now, phase: "asking" }));
  await ask();
}

function refused(problem: Problem): void {
  const now = desk.get();
  if (now.phase !== "signed_in" || now.session === null) return;
  if (problem.status === 423) {
    desk.set({ ...now, session: { ...now.session, locked: true } });
    unlockWanted.set(true);
    return;
  }
  keepToken(null);
  desk.set({ phase: "signed_out", session: null, reason: "ended" });
}

export async function signIn(user: string, password: string): Promise<void> {
  keepToken(null);
  const found = await post<Session>("session", { user, password }, { quiet: true });
  signedIn(completed(found, "session"));
}

export async function signInWithToken(given: string): Promise<void> {
  keepToken(given);
  try {
    const found = await get<Session>("session", undefined, { quiet: true });
    signedIn(completed(found, "token"));
  } catch (error) {
    keepToken(null);
    throw error;
  }
}

export async function signOut(): Promise<void> {
  if (desk.get().session?.via === "session") await remove("session", { quiet: true }).catch(() => undefined);
  keepToken(null);
  desk.set({ phase: "signed_out", session: null, reason: null });
}

export async function lock(): Promise<void> {
  const now = desk.get();
  if (now.session === null) return;
  if (now.session.via === "session") await post("session/lock", {}).catch(() => undefined);
  desk.set({ ...now, session: { ...now.session, locked: true } });
}

/** True when acting is possible; else the password is asked for first. */
export function readyToAct(): boolean {
  const locked = desk.get().session?.locked ?? false;
  if (locked) unlockWanted.set(true);
  return !locked;
}

export async function unlock(password: string): Promise<void> {
  const now = desk.get();
  if (now.session === null) return;
  if (now.session.via === "session") await post("session/unlock", { password }, { quiet: true });
  else if (password !== token) throw new Problem(401, "sign_in_failed", "", "");
  desk.set({ ...now, session: { ...now.session, locked: false } });
}

export async function changePassword(old: string, next: string): Promise<void> {
  await post("session/password", { old, new: next }, { quiet: true });
  const now = desk.get();
  if (now.session !== null) desk.set({ ...now, session: { ...now.session, must_change_password: false } });
}

/** Tells the hub of a person at the desk, at most once a minute. */
export function aliveSender(now: () => number, tell: () => void): () => void {
  let toldAt = -Infinity;
  return () => {
    if (now() - toldAt < ALIVE_MS) return;
    toldAt = now();
    tell();
  };
}

export function watchPerson(target: EventTarget): () => void {
  const sender = aliveSender(() => performance.now(), () => {
    const session = desk.get().session;
    if (session?.via === "session" && !session.locked) post("session/alive", {}).catch(() => undefined);
  });
  const kinds = ["pointerdown", "keydown"];
  for (const kind of kinds) target.addEventListener(kind, sender, { passive: true });
  return () => kinds.forEach((kind) => target.removeEventListener(kind, sender));
}
