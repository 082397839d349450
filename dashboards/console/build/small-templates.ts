// Shortens the HTML of templates as a parser allows: no quotes around simple values, and no end tags at the very end.

import type { Plugin } from "vite";

const VOID = /<((?:area|br|col|hr|img|input|link|meta|source|track|wbr)\b[^<>]*?)\/>/g;

export const shortened = (html: string): string => html
  .replace(VOID, "<$1>")
  .replace(/(<[a-z][^<>]*>)/g, (tag) => tag.replace(/="([\w-]+)"(?=[ >])/g, "=$1"))
  .replace(/(<\/[a-z0-9]+>)+$/, "");

export function smallTemplates(): Plugin {
  return {
    name: "small-templates",
    apply: "build",
    enforce: "post",
    transform: (code, id) => (id.endsWith(".svelte") ? code.replace(/(\$\.from_html\(`)([^`]*)`/g, (_, call: string, html: string) => `${call}${shortened(html)}\``) : null),
  };
}
