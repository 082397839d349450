// Which screen an address names, and how to get there without loading the page again.

import { cell } from "./data/cell";

export interface Route {
  path: string;
  /** Path without its first part, decoded: `/devices/gas-0001` has `["gas-0001"]`. */
  rest: string[];
  screen: string;
  query: URLSearchParams;
}

export function routeOf(path: string, search: string): Route {
  const parts = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { path, screen: parts[0] ?? "alarms", rest: parts.slice(1), query: new URLSearchParams(search) };
}

const here = (): Route => routeOf(location.pathname, location.search);

export const route = cell<Route>(typeof location === "undefined" ? routeOf("/", "") : here());

/** Goes to an address of this console. */
export function go(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  route.set(here());
}

/** Changes the query only: filters are part of the address, so that it can be shared. Empty removes. */
export function goQuery(change: Record<string, string | null>, options: { replace?: boolean } = { replace: true }): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  const to = location.pathname + (text ? `?${text}` : "");
  if (to !== location.pathname + location.search) go(to, options);
}

/** Takes clicks on links of this console; new tabs and downloads stay the browser's. */
export function catchLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export function startRouter(): () => void {
  const back = (): void => route.set(here());
  window.addEventListener("popstate", back);
  document.addEventListener("click", catchLinks);
  return () => {
    window.removeEventListener("popstate", back);
    document.removeEventListener("click", catchLinks);
  };
}
