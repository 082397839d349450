// Every key of the console: who listens, what it does, and the list that `?` shows.

import { cell, stored } from "../data/cell";

export interface Binding {
  /** `j`, `shift+j`, `ctrl+enter`, `g a` (one after the other), `?`. Lower case. */
  keys: string;
  /** What it does, for the list; read when the list is shown. */
  label: () => string;
  run: (event: KeyboardEvent) => void;
  /** Asked before it runs; a key that may not run is not taken. */
  when?: () => boolean;
  /** Also while a field has the focus; keys with ctrl always do. */
  inFields?: boolean;
}

interface Scope {
  title: () => string;
  bindings: readonly Binding[];
  /** A dialog hides the keys below it. */
  modal: boolean;
}

const SEQUENCE_MS = 1_500;
const scopes: Scope[] = [];

/** Changes when a scope comes or goes, for the list of keys. */
export const keysChanged = cell(0);
/** Single keys may be turned off (WCAG 2.1.4); those with ctrl stay. */
export const singleKeys = stored<"on" | "off">("cityhub.keys", "on", ["on", "off"]);

/** Adds keys; the answer takes them away. Later scopes win over earlier ones. */
export function bindKeys(title: () => string, bindings: readonly Binding[], options: { modal?: boolean } = {}): () => void {
  const scope = { title, bindings, modal: options.modal ?? false };
  scopes.push(scope);
  keysChanged.update((n) => n + 1);
  return () => {
    const at = scopes.indexOf(scope);
    if (at >= 0) scopes.splice(at, 1);
    keysChanged.update((n) => n + 1);
  };
}

export function keyScopes(): readonly { title: string; bindings: readonly Binding[] }[] {
  return scopes.map((scope) => ({ title: scope.title(), bindings: scope.bindings }));
}

/** The name of what was pressed: `shift+j`, `ctrl+k`, `?`. Cmd counts as ctrl. */
export function nameOf(event: Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "metaKey" | "altKey">): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push("ctrl");
  if (event.altKey) parts.push("alt");
  // `?` and `/` already say which key it was; letters and named keys do not.
  if (event.shiftKey && (/^[a-z]$/.test(key) || key.length > 1)) parts.push("shift");
  parts.push(key);
  return parts.join("+");
}

function inField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (element === null || typeof element.closest !== "function") return false;
  if (element.closest("textarea, select, [contenteditable=true]") !== null) return true;
  const input = element.closest("input") as HTMLInputElement | null;
  return input !== null && !["checkbox", "radio", "button", "submit"].includes(input.type);
}

let begun = "";
let begunAt = 0;

/** Runs what the key means; true if it meant something. */
export function press(event: KeyboardEvent, nowMs: number): boolean {
  if (event.isComposing || event.defaultPrevented) return false;
  const name = nameOf(event);
  const field = inField(event.target);
  const sequence = begun !== "" && nowMs - begunAt < SEQUENCE_MS ? `${begun} ${name}` : name;
  begun = "";
  for (let i = scopes.length - 1; i >= 0; i -= 1) {
    const scope = scopes[i];
    if (scope === undefined) continue;
    for (const wanted of sequence === name ? [name] : [sequence, name]) {
      const found = scope.bindings.find((binding) => binding.keys === wanted
        && (!field || binding.inFields || wanted.includes("ctrl+"))
        && (singleKeys.get() === "on" || wanted.includes("ctrl+") || wanted.length > 1)
        && (binding.when?.() ?? true));
      if (found === undefined) continue;
      event.preventDefault();
      found.run(event);
      return true;
    }
    if (!field && scope.bindings.some((binding) => binding.keys.startsWith(`${name} `))) {
      begun = name;
      begunAt = nowMs;
      return true;
    }
    if (scope.modal) return false;
  }
  return false;
}

export function startKeys(): () => void {
  const listen = (event: KeyboardEvent): void => void press(event, performance.now());
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}

/** How a key is written for people: `Shift+J`, `G A`. */
export function written(keys: string): string {
  const names: Record<string, string> = {
    ctrl: "Ctrl", shift: "Shift", alt: "Alt", enter: "Enter", escape: "Esc", space: "Space", arrowup: "↑", arrowdown: "↓",
    arrowleft: "←", arrowright: "→", home: "Home", end: "End",
  };
  return keys.split(" ").map((chord) => chord.split("+").map((key) => names[key] ?? key.toUpperCase()).join("+")).join(" ");
}
