// Where the words of the built console come from: one file for a language, loaded when it is spoken. The build writes it
// (`build/one-language.ts`); otherwise every file of words has both languages in it.

import type { Language } from "../data/site";

export const packs: Record<Language, () => Promise<Record<string, unknown>>> | null = null;
