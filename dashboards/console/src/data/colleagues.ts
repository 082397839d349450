// Whom an alarm can be given to, and what people call them.

import { cell } from "./cell";
import { get } from "./hub";

export interface Colleague { name: string; display_name: string }

export const colleagues = cell<readonly Colleague[]>([]);

/** Who may not ask sees the names with which people sign in. */
export function loadColleagues(): void {
  get<{ items: Colleague[] }>("people").then(({ items }) => colleagues.set(items)).catch(() => undefined);
}

export const called = (name: string | null, known: readonly Colleague[]): string =>
  name === null ? "—" : known.find((one) => one.name === name)?.display_name || name;
