// Which file of the built console carries a module. Few files: what is alike is near each other, so that it compresses well.

import type { Rollup } from "vite";
import { languageOf } from "./one-language";

const FIRST_SCREEN = /\/src\/screens\/alarms\/Alarms\.svelte$/;

/** Everything that the page and the list of alarms import at once; the rest comes with the first other screen. */
function firstOf(graph: Rollup.ManualChunkMeta): Set<string> {
  const found = new Set<string>();
  const visit = (id: string): void => {
    if (found.has(id)) return;
    found.add(id);
    graph.getModuleInfo(id)?.importedIds.forEach(visit);
  };
  for (const id of graph.getModuleIds()) if (graph.getModuleInfo(id)?.isEntry || FIRST_SCREEN.test(id)) visit(id);
  return found;
}

const known = new WeakMap<Rollup.ManualChunkMeta["getModuleInfo"], Set<string>>();

export function chunkOf(id: string, graph: Rollup.ManualChunkMeta): string {
  let first = known.get(graph.getModuleInfo);
  if (first === undefined) known.set(graph.getModuleInfo, first = firstOf(graph));
  return languageOf(id) ?? (first.has(id) ? "index" : "more");
}
