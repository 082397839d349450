// Puts the words of each language into files of their own: a desk loads those that it speaks.
// In source, in development and in tests `i18n/NAME.ts` has both beside each other; only the built console differs.

import type { Plugin } from "vite";

const WORDS = /\/src\/i18n\/([a-z-]+)\.ts(?:\?words=(zh|en|rest))?$/;
const BOTH = /export const zh = [\s\S]*export const en: Same</;

/** Which language a module is of, if it is of one. */
export function languageOf(id: string): "zh" | "en" | null {
  const part = WORDS.exec(id)?.[2];
  return part === "zh" || part === "en" ? part : null;
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
