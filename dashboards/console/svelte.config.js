import { readdirSync } from "node:fs";
import { relative } from "node:path";
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

const source = new URL("src/", import.meta.url).pathname;
const components = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".svelte")).sort();

export default {
  preprocess: vitePreprocess(),
  // The class of a component's own styles stands on each of its elements: a short one, by its place in the list of components.
  compilerOptions: { runes: true, discloseVersion: false, cssHash: ({ filename }) => `s${components.indexOf(relative(source, filename)).toString(36)}` },
};
