// Puts the words of each language into files of their own: a desk loads those that it speaks.
// In source, in development and in tests `i18n/NAME.ts` has both beside each other; only the built console differs.

import { readdirSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

const WORDS = /\/src\/i18n\/([a-z-]+)\.ts(?:\?words=(zh|en|rest))?$/;
const PACKS = /\/src\/i18n\/packs\.ts$/;
const PACK = /^\0words-(zh|en)$/;
const FOLDER = new URL("../src/i18n/", import.meta.url).pathname;
const BOTH = /export const zh = [\s\S]*export const en: Same</;

/** Which language a module is of, if it is of one. */
export function languageOf(id: string): "zh" | "en" | null {
  const part = WORDS.exec(id)?.[2] ?? PACK.exec(id)?.[1];
  return part === "zh" || part === "en" ? part : null;
}

export function oneLanguage(): Plugin {
  return {
    name: "one-language",
    apply: "build",
    enforce: "pre",
    resolveId: (id) => (/^words-(zh|en)$/.test(id) ? `\0${id}` : null),
    load(id) {
      const of = PACK.exec(id)?.[1];
      if (of === undefined) return null;
      const names = readdirSync(FOLDER).filter((name) => name.endsWith(".ts") && BOTH.test(readFileSync(FOLDER + name, "utf8"))).map((name) => name.slice(0, -3)).sort();
      return `${names.map((name) => `import ${name} from "${FOLDER}${name}.ts?words=${of}";`).join("\n")}\nexport const words = { ${names.join(", ")} };`;
    },
    transform(code, id) {
      if (PACKS.test(id)) return `export const packs = { ${["zh", "en"].map((of) => `${of}: () => import("words-${of}").then((pack) => pack.words)`).join(", ")} };`;
      const [, name, part] = WORDS.exec(id) ?? [];
      if (name === undefined || part === "rest" || !BOTH.test(code)) return null;
      if (part !== undefined) return `${code.replace(/^export const (?=zh|en\b)/gm, "const ")}\nexport { ${part} as default };\n`;
      const others = [...code.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, found]) => found).filter((found) => found !== "zh" && found !== "en");
      return `export const file = "${name}";
        ${others.length > 0 ? `export { ${others.join(", ")} } from "./${name}.ts?words=rest";` : ""}`;
    },
  };
}
