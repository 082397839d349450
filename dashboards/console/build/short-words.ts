// Gives the words short names in the built console: `$t.signed_in_since` becomes `$t.b7`, in the files of words and wherever they are said.
// `$t.dialog.title` becomes `$t.c.f` where no member of `dialog` is asked for by a text; what is keeps its name.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import ts from "typescript";
import type { Plugin } from "vite";

const SOURCE = new URL("../src/", import.meta.url).pathname;
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const WORDS = /\/src\/i18n\/([a-z-]+)\.ts\?words=(zh|en)$/;

/** Names of the words of a file, and of those inside of each. */
function keysOf(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const namesOf = (tree: ts.ObjectLiteralExpression): [string, ts.Node | undefined][] => tree.properties.map((property) =>
    [property.name && ts.isIdentifier(property.name) ? property.name.text : "", ts.isPropertyAssignment(property) ? property.initializer : undefined]);
  for (const statement of ts.createSourceFile("words.ts", text, ts.ScriptTarget.Latest).statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (!ts.isIdentifier(name) || name.text !== "zh" || !initializer || !ts.isObjectLiteralExpression(initializer)) continue;
      for (const [key, inside] of namesOf(initializer)) {
        if (key !== "") found.set(key, inside && ts.isObjectLiteralExpression(inside) ? namesOf(inside).map(([inner]) => inner).filter(Boolean) : []);
      }
    }
  }
  return found;
}

/** The stores of words that a file of source makes, and the files of words that they are of. */
function storesOf(text: string): Map<string, string> {
  const files = new Map([...text.matchAll(/import \* as (\w+) from "[./]*\/i18n\/([a-z-]+)"/g)].map(([, name = "", file = ""]) => [name, file]));
  return new Map([...text.matchAll(/const (\w+) = words\((\w+)\)/g)].map(([, store = "", name = ""]) => [`$${store}`, files.get(name) ?? ""]));
}

type Names = Map<string, string>;

/** The short name of each word of each file. */
function shortNames(): Map<string, Names> {
  const texts = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => /\.(svelte|ts)$/.test(name) && !/\.test\.ts$/.test(name))
    .sort().map((name): [string, string] => [name, readFileSync(join(SOURCE, name), "utf8")]);
  const kept = new Map<string, Set<string>>();
  const keep = (file: string, names: Iterable<string[]>): void => {
    const own = kept.get(file) ?? new Set();
    kept.set(file, own);
    for (const [, name = ""] of names) own.add(name);
  };
  for (const [source, text] of texts) {
    // Words that say other words.
    if (source.startsWith("i18n/")) keep(basename(source, ".ts"), text.matchAll(/\.(\w+)/g));
    for (const [store, file] of storesOf(text)) {
      // Members of these are asked for by a text, or the whole is handed on.
      for (const [, group = ""] of text.matchAll(new RegExp(`\\${store}\\.(\\w+)(?!\\w|\\.\\w)`, "g"))) keep(`${file}.${group}`, [["", "*"]]);
      // Asked for by a text, which stands somewhere in this file.
      if (new RegExp(`\\${store}\\[`).test(text)) keep(file, text.matchAll(/["'`](\w+)["'`]/g));
      if (new RegExp(`\\${store}(?![\\w.[])|\\b${store.slice(1)}\\.get\\b`).test(text)) throw new Error(`${source}: say each word of ${store} by its name`);
    }
    if (source.endsWith(".ts") && /^import .*\/i18n\/(?!language)/m.test(text)) throw new Error(`${source}: only components have words`);
  }
  return new Map(texts.filter(([source]) => source.startsWith("i18n/")).map(([source, text]) => {
    const file = basename(source, ".ts");
    const keys = keysOf(text);
    const names: Names = new Map();
    const give = (of: Iterable<string>, path: string): void => {
      const all = [...of];
      let next = 0;
      for (const key of all) {
        if (kept.get(file)?.has(key) || key.length < 3) continue;
        let name = "";
        do {
          name = `${LETTERS[next % LETTERS.length] ?? ""}${next < LETTERS.length ? "" : Math.floor(next / LETTERS.length)}`;
          next += 1;
        } while (all.includes(name) || kept.get(file)?.has(name));
        names.set(path + key, name);
      }
    };
    give(keys.keys(), "");
    for (const [group, inside] of keys) if (!kept.has(`${file}.${group}`) && !kept.get(file)?.has(group)) give(inside, `${group}.`);
    return [file, names];
  }));
}

interface Node { type: string; start: number; end: number; [field: string]: unknown }

export function shortWords(): Plugin {
  let short = new Map<string, Names>();
  return {
    name: "short-words",
    apply: "build",
    enforce: "post",
    buildStart() { short = shortNames(); },
    transform(code, id) {
      const [, words] = WORDS.exec(id) ?? [];
      if (words !== undefined) {
        const names = short.get(words);
        const cuts: [number, number, string][] = [];
        for (const statement of (this.parse(code) as unknown as { body: Node[] }).body) {
          if (statement.type !== "VariableDeclaration") continue;
          for (const { id: name, init } of statement.declarations as { id: { name: string }; init: Node | null }[]) {
            if (!/^(zh|en)$/.test(name.name) || init?.type !== "ObjectExpression") continue;
            const cut = (tree: Node, path: string): void => {
              for (const { key, value } of tree.properties as { key: Node & { name: string }; value: Node }[]) {
                const to = names?.get(path + key.name);
                if (to !== undefined) cuts.push([key.start, key.end, to]);
                if (path === "" && value.type === "ObjectExpression") cut(value, `${key.name}.`);
              }
            };
            cut(init, "");
          }
        }
        return cuts.reverse().reduce((text, [start, end, to]) => text.slice(0, start) + to + text.slice(end), code);
      }
      if (!id.startsWith(SOURCE) || !id.endsWith(".svelte")) return null;
      return [...storesOf(readFileSync(id, "utf8"))].reduce((text, [store, file]) => text.replaceAll(
        new RegExp(`(\\${store}\\(\\)\\.)(\\w+)(?:\\.(\\w+))?`, "g"), (_, of: string, name: string, inner?: string) => {
          const names = short.get(file);
          return of + (names?.get(name) ?? name) + (inner === undefined ? "" : `.${names?.get(`${name}.${inner}`) ?? inner}`);
        },
      ), code);
    },
  };
}
