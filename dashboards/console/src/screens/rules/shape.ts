// Which keys a rule of each kind has (docs/en/rules.md), and how each is asked for.

import type { Rule } from "../../data/rows";
import { keysInOrder, type Draft } from "./toml";

export const KINDS = ["threshold", "window", "rate", "silence", "frozen", "clock", "occupancy", "geofence", "any", "all"] as const;
export type RuleKind = (typeof KINDS)[number];

export interface Ask {
  key: string;
  as: "number" | "text" | "flag" | "choice" | "list" | "levels" | "json";
  choices?: readonly string[];
  needed?: boolean;
}

const number = (...keys: string[]): Ask[] => keys.map((key) => ({ key, as: "number" }));
const DELAYS = number("deadband", "on_delay_s", "off_delay_s");
const METRIC: Ask = { key: "metric", as: "text", needed: true };
const LEVELS: Ask = { key: "levels", as: "levels" };
const OF: Ask[] = [
  { key: "of", as: "list", needed: true }, { key: "scope", as: "choice", choices: ["device", "site", "grid"] }, ...number("within_s", "devices_min", "hold_s"), { key: "suppress", as: "flag" },
];

export const ASKS: Record<RuleKind, readonly Ask[]> = {
  threshold: [METRIC, ...number("above", "below"), LEVELS, ...DELAYS],
  window: [
    METRIC, { key: "aggregate", as: "choice", choices: ["mean", "leq", "max", "min", "sum", "count_above"], needed: true }, { key: "window_s", as: "number", needed: true },
    ...number("above", "below", "count"), LEVELS, { key: "align", as: "choice", choices: ["trailing", "clock"] }, ...number("min_coverage_pct"), ...DELAYS,
  ],
  rate: [METRIC, { key: "window_s", as: "number", needed: true }, ...number("fall", "rise", "fall_pct", "rise_pct", "normal_max"), LEVELS, ...DELAYS],
  silence: number("factor", "after_s", "cadence_s"),
  frozen: [METRIC, { key: "after_s", as: "number", needed: true }, ...number("epsilon")],
  clock: number("skew_s", "confirm"),
  occupancy: [METRIC, ...number("capacity", "capacity_ratio"), LEVELS, ...DELAYS],
  geofence: [
    { key: "mode", as: "choice", choices: ["outside", "inside"] }, { key: "fences", as: "json", needed: true },
    ...number("buffer_m", "enter_buffer_m", "dwell_s", "confirm", "max_speed_ms", "accuracy_max_m"), { key: "locked", as: "flag" },
  ],
  any: OF, all: OF,
};

/** The limits that a level of each kind may have. */
export const LIMITS: Partial<Record<RuleKind, readonly string[]>> = {
  threshold: ["above", "below"], window: ["above", "below", "count"], rate: ["fall", "rise", "fall_pct", "rise_pct"], occupancy: ["capacity_ratio"],
};

export const AFTER: readonly Ask[] = [
  { key: "category", as: "text" }, { key: "uncertain", as: "choice", choices: ["use", "ignore"] }, { key: "latch", as: "flag" }, { key: "shadow", as: "flag" }, { key: "enabled", as: "flag" },
  { key: "source", as: "text" }, { key: "certainty", as: "text" },
];

/** A draft without what the hub adds. */
export const draftOf = (rule: Rule): Draft => Object.fromEntries(keysInOrder(rule).map((key) => [key, structuredClone(rule[key])]));

/** The draft with one key put; empty takes the key away. */
export function put(draft: Draft, key: string, value: unknown): Draft {
  const next = { ...draft };
  if (value === "" || value === null || value === undefined || (Array.isArray(value) && value.length === 0)) delete next[key];
  else next[key] = value;
  return next;
}

/** Another kind keeps what it knows, too, and drops what it would refuse. */
export function ofKind(draft: Draft, kind: RuleKind): Draft {
  const ours = (Object.keys(ASKS) as RuleKind[]).flatMap((name) => ASKS[name].map((ask) => ask.key));
  const kept = ASKS[kind].map((ask) => ask.key);
  return { ...Object.fromEntries(Object.entries(draft).filter(([key]) => !ours.includes(key) || kept.includes(key))), kind };
}

export const tagsText = (tags: unknown): string => Object.entries((tags ?? {}) as Record<string, unknown>).map(([key, value]) => `${key}=${String(value)}`).join(", ");

export function readTags(text: string): Record<string, string> {
  return Object.fromEntries(text.split(/[,，]/).map((part) => part.split("=")).filter((pair) => pair.length === 2 && pair[0]?.trim()).map(([key, value]) => [key?.trim(), value?.trim()]));
}

export const listText = (value: unknown): string => (Array.isArray(value) ? value.join(", ") : value === undefined ? "" : String(value));
export const readList = (text: string): string[] => text.split(/[,，\s]+/).filter(Boolean);

/** Whether the hub's word on a key, such as `levels[0].severity`, is about this one. */
export const isAbout = (wrong: string | null, key: string): boolean => wrong !== null && (wrong === key || wrong.startsWith(`${key}.`) || wrong.startsWith(`${key}[`));

export interface Change { key: string; before: unknown; after: unknown }

export function changes(before: Draft, after: Draft): Change[] {
  const keys = [...new Set([...keysInOrder(before), ...keysInOrder(after)])];
  return keys.filter((key) => JSON.stringify(sorted(before[key])) !== JSON.stringify(sorted(after[key]))).map((key) => ({ key, before: before[key], after: after[key] }));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.localeCompare(b)).map(([key, one]) => [key, sorted(one)]));
}
