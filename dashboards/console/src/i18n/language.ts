// Chinese first, English beside it: each screen has one file of words, and English must have them all.

import { stored, type Cell, type Readable } from "../data/cell";
import type { Language } from "../data/site";
import { packs } from "./packs";

const chosen = stored<Language>("cityhub.language", "zh", ["zh", "en"], speak);
/** Words of the built console, by language and file. */
const said: Partial<Record<Language, Record<string, unknown>>> = {};

async function load(wanted: Language): Promise<void> {
  if (packs !== null) said[wanted] ??= await packs[wanted]();
}

/** Whoever says the first word waits for it. */
export const wordsReady = (): Promise<void> => load(chosen.get());

/** Another language is spoken when its words are here; without them everything stays as it is. */
function speak(wanted: Language): void {
  if (packs === null) chosen.set(wanted);
  else load(wanted).then(() => chosen.set(wanted), () => undefined);
}

export const language: Cell<Language> = { ...chosen, set: speak, update: (change) => speak(change(chosen.get())) };

/** The type that the English words of a screen must satisfy: same keys, same parameters. */
export type Same<T> = {
  [K in keyof T]: T[K] extends (...given: infer P) => string ? (...given: P) => string
    : T[K] extends string ? string
    : T[K] extends readonly string[] ? readonly string[]
    : Same<T[K]>;
};

/** `const t = words(alarms)` with `import * as alarms from "../i18n/alarms"`; then `$t.title`. */
export function words<T>(both: { zh: T; en: Same<T> } | { file: string }): Readable<Same<T>> {
  const now = (): Same<T> => ("file" in both ? said[language.get()]?.[both.file] : both[language.get()]) as Same<T>;
  return { get: now, subscribe: (run) => language.subscribe(() => run(now())) };
}

export const languageTag = (now: Language): string => (now === "zh" ? "zh-CN" : "en");

const collators = new Map<Language, Intl.Collator>();

/** Sorts names as a reader expects: Chinese by pinyin, numbers by value. */
export function collator(now: Language): Intl.Collator {
  let found = collators.get(now);
  if (found === undefined) {
    found = new Intl.Collator(languageTag(now), { numeric: true });
    collators.set(now, found);
  }
  return found;
}
