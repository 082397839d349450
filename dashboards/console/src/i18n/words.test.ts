import { expect, test } from "vitest";

type Tree = Record<string, unknown>;

function leaves(tree: Tree, path = ""): [string, unknown][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? leaves(value as Tree, `${path}${key}.`) : [[`${path}${key}`, value] as [string, unknown]]);
}

const files = import.meta.glob<{ zh?: Tree; en?: Tree }>("./*.ts", { eager: true });
const pairs = Object.entries(files).filter(([, file]) => file.zh !== undefined && file.en !== undefined);

test("there are words to check", () => {
  expect(pairs.length).toBeGreaterThan(10);
});

test.each(pairs)("%s says everything in both languages", (_, file) => {
  const zh = leaves(file.zh ?? {});
  const en = leaves(file.en ?? {});
  expect(en.map(([key]) => key).sort()).toEqual(zh.map(([key]) => key).sort());
  for (const [key, value] of [...zh, ...en]) if (typeof value === "string") expect(value.trim(), key).not.toBe("");
});
