// Short words that come and go: what was done, what was not. Screen readers hear them, too.

import { cell } from "../data/cell";

export interface Notice {
  id: number;
  tone: "plain" | "bad";
  text: string;
  action?: { label: string; run: () => void };
}

const STAYS_MS = 6_000;
let last = 0;

export const notices = cell<Notice[]>([]);
/** What is read out at the next chance (`aria-live=polite`), and at once (`assertive`). */
export const polite = cell("");
export const assertive = cell("");

/** A bad notice stays until it is closed: nothing fails silently. */
export function notify(text: string, options: { tone?: Notice["tone"]; action?: Notice["action"] } = {}): void {
  last += 1;
  const notice: Notice = { id: last, tone: options.tone ?? "plain", text, action: options.action };
  notices.update((before) => [...before.slice(-3), notice]);
  if (notice.tone === "plain") setTimeout(() => dismiss(notice.id), STAYS_MS);
}

export function dismiss(id: number): void {
  notices.update((before) => before.filter((notice) => notice.id !== id));
}
