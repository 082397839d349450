// Chinese first, English beside it: each screen has one file of words, and English must have them all.

import { stored, type Cell, type Readable } from "../data/cell";
import type { Language } from "../data/site";

/** Loads the words of one file in a language; the built console has each in a file of its own. */
type Pack = Record<Language, () => Promise<void>>;
const packs = new Set<Pack>();
const chosen = stored<Language>("cityhub.language", "zh", ["zh", "en"], speak);

/** Called by each file of words of the built console. */
export function keepWords(pack: Pack): void {
  packs.add(pack);
}

async function load(wanted: Language): Promise<void> {
  for (let done = -1; done !== packs.size;) {
    done = packs.size;
    await Promise.all([...packs].map((pack) => pack[wanted]()));
  }
}

/** Whoever shows something that was just loaded waits for its words first. */
export async function wordsReady(): Promise<void> {
  for (let done: Language | null = null; done !== chosen.get();) {
    done = chosen.get();
    await load(done);
  }
}

/** Another language is spoken when its words are here; without them everything stays as it is. */
function speak(wanted: Language): void {
  if (packs.size === 0) chosen.set(wanted);
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
export function words<T>(both: { zh: T; en: Same<T> }): Readable<Same<T>> {
  // Words that are on their way are said in the other language until then.
  const now = (): Same<T> => (language.get() === "zh" ? both.zh as unknown as Same<T> ?? both.en : both.en ?? both.zh);
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
