// Shortens what Svelte makes of a component: HTML as a parser allows it (no quotes around simple values, no end tags at the very end),
// the names under which a component keeps its subscriptions, and the list of its snippets, which only components of before Svelte 5 read.

import type { Plugin } from "vite";

const VOID = /<((?:area|br|col|hr|img|input|link|meta|source|track|wbr)\b[^<>]*?)\/>/g;

export const shortened = (html: string): string => html
  .replace(VOID, "<$1>")
  .replace(/(<[a-z][^<>]*>)/g, (tag) => tag.replace(/="([\w-]+)"(?=[ >])/g, "=$1"))
  .replace(/(<\/[a-z0-9]+>)+$/, "");

/** A component's stores have names of its own. */
function subscriptions(code: string): string {
  const names = new Map<string, number>();
  return code.replace(/(\$\.\w+\([^()]*?)(["'])(\$\w+)\2(?=, \$\$stores\))|(?<=invalidate_store\(\$\$stores, )(["'])(\$\w+)\4/g, (_, call = "", __, a?: string, ___?: string, b?: string) => {
    const name = a ?? b ?? "";
    if (!names.has(name)) names.set(name, names.size);
    return `${call as string}${names.get(name) ?? 0}`;
  });
}

export function smallTemplates(): Plugin {
  return {
    name: "small-templates",
    apply: "build",
    enforce: "post",
    // There is one style sheet, which comes with the page: what is loaded later has nothing to fetch before.
    load: { order: "pre", handler: (id) => (id === "\0vite/preload-helper.js" ? "export const __vitePreload = (load) => load();" : null) },
    transform: (code, id) => (id.endsWith(".svelte")
      ? subscriptions(code).replace(/,\s*\$\$slots: \{[^{}]*\}/g, "").replace(/(\$\.from_html\(`)([^`]*)`/g, (_, call: string, html: string) => `${call}${shortened(html)}\``) : null),
  };
}
