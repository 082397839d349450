// Puts each language of each file of words into a chunk of its own: a desk loads the one that it speaks.
// In source, in development and in tests `i18n/NAME.ts` has both beside each other; only the built console differs.

import type { Plugin } from "vite";

const WORDS = /\/src\/i18n\/([a-z-]+)\.ts(?:\?words=(zh|en|rest))?$/;
const BOTH = /export const zh = [\s\S]*export const en: Same</;
/** Words of the frame and the first screen come in one file. */
const FIRST = new Set(["alarms", "handover", "kit", "shell", "sound", "states"]);

/** Which language a module is of, and whether everybody needs it at once. */
function wordsOf(id: string): { language: string; first: boolean } | null {
  const [, name, part] = WORDS.exec(id) ?? [];
  return name === undefined || part === undefined || part === "rest" ? null : { language: part, first: FIRST.has(name) };
}

export function chunkOfWords(id: string): string | undefined {
  const words = wordsOf(id);
  return words?.first ? `${words.language}-first` : undefined;
}

export function nameOfChunk(chunk: { facadeModuleId: string | null }): string {
  const words = chunk.facadeModuleId === null ? null : wordsOf(chunk.facadeModuleId);
  return words === null || words.first ? "assets/[name]-[hash].js" : `assets/${words.language}-[name]-[hash].js`;
}

export function oneLanguage(): Plugin {
  return {
    name: "one-language",
    apply: "build",
    enforce: "pre",
    transform(code, id) {
      const [, name, part] = WORDS.exec(id) ?? [];
      if (name === undefined || part === "rest" || !BOTH.test(code)) return null;
      if (part !== undefined) return `${code.replace(/^export const (?=zh|en\b)/gm, "const ")}\nexport { ${part} as default };\n`;
      const others = [...code.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, found]) => found).filter((found) => found !== "zh" && found !== "en");
      const load = (of: string): string => `${of}: async () => { ${of} ??= (await import("./${name}.ts?words=${of}")).default; }`;
      return `import { keepWords } from "./language";
        export let zh: unknown, en: unknown;
        keepWords({ ${load("zh")}, ${load("en")} });
        ${others.length > 0 ? `export { ${others.join(", ")} } from "./${name}.ts?words=rest";` : ""}`;
    },
  };
}
