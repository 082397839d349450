// Fails when the console has grown beyond what a slow intranet and an old office PC bear.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";

const FIRST_LOAD_BYTES_MAX = 100 * 1024;
// All that one desk can load, in one language: the first load and what comes with the first other screen.
const ALL_BYTES_MAX = 180 * 1024;

/** What the hub sends: the file that lies beside it, or itself where that is too small to need one. */
const size = (path) => statSync(existsSync(`${path}.gz`) ? `${path}.gz` : path).size;
const assets = readdirSync("dist/assets").filter((name) => /\.(js|css)$/.test(name)).sort();
// One desk speaks one language: the words of the other stay where they are.
const foreign = ["zh", "en"].map((of) => assets.filter((name) => name.startsWith(`${of}-`)));
const page = readFileSync("dist/index.html", "utf8");

// The first load is the page, what it names, and what those import at once.
const first = new Set();
const visit = (name) => {
  if (first.has(name) || !assets.includes(name)) return;
  first.add(name);
  if (!name.endsWith(".js")) return;
  for (const [, found] of readFileSync(`dist/assets/${name}`, "utf8").matchAll(/(?:import|from)\s*"\.\/([^"]+)"/g)) visit(found);
};
for (const [, name] of page.matchAll(/assets\/([^"]+)"/g)) visit(name);
for (const name of assets) if (/^zh-/.test(name)) visit(name);

const sum = (names) => [...names].reduce((total, name) => total + size(`dist/assets/${name}`), 0);
const firstBytes = sum(first) + size("dist/index.html");
const allBytes = sum(assets) - Math.min(...foreign.map(sum));
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
for (const name of assets) console.log(`${first.has(name) ? "*" : " "} ${kb(size(`dist/assets/${name}`)).padStart(9)}  ${name}`);
console.log(`first load ${kb(firstBytes)} of ${kb(FIRST_LOAD_BYTES_MAX)}, all ${kb(allBytes)} of ${kb(ALL_BYTES_MAX)} (gzip)`);
if (firstBytes > FIRST_LOAD_BYTES_MAX || allBytes > ALL_BYTES_MAX) {
  console.error("the console is beyond its budget");
  process.exit(1);
}
