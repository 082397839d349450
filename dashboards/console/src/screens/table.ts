// Which screens there are, who sees them, and where their code is. A screen is loaded when it is opened.

import type { Component } from "svelte";
import type { Right } from "../data/rows";

export interface Screen {
  /** First part of the address, and key of `screens` in `i18n/shell.ts`. */
  name: ScreenName;
  load: () => Promise<{ default: Component<ScreenProps> }>;
  /** Whoever has one of these sees it; everybody, if there is none. */
  rights: readonly Right[];
  /** Where it is offered: in the bar, in the menu of the user, or nowhere. */
  place: "bar" | "menu" | "none";
  /** `g` and this key go there. */
  key?: string;
  /** Drawn without bars around it. */
  bare?: boolean;
}

export interface ScreenProps {
  /** Parts of the address after the name: `/devices/gas-0001` gives `["gas-0001"]`. */
  rest: string[];
}

export type ScreenName =
  | "alarms" | "map" | "cases" | "devices" | "rules" | "handover" | "kpi" | "system" | "admin" | "settings" | "help" | "wall";

export const SCREENS: readonly Screen[] = [
  { name: "alarms", key: "a", place: "bar", rights: [], load: () => import("./alarms/Alarms.svelte") },
  { name: "map", key: "m", place: "bar", rights: [], load: () => import("./map/Map.svelte") },
  { name: "cases", key: "e", place: "bar", rights: [], load: () => import("./cases/Cases.svelte") },
  { name: "devices", key: "d", place: "bar", rights: [], load: () => import("./devices/Devices.svelte") },
  { name: "rules", key: "r", place: "bar", rights: [], load: () => import("./rules/Rules.svelte") },
  { name: "handover", key: "h", place: "bar", rights: [], load: () => import("./handover/Handover.svelte") },
  { name: "kpi", key: "k", place: "bar", rights: [], load: () => import("./kpi/Kpi.svelte") },
  { name: "system", key: "s", place: "bar", rights: [], load: () => import("./system/System.svelte") },
  { name: "admin", key: "u", place: "menu", rights: ["admin", "audit"], load: () => import("./admin/Admin.svelte") },
  { name: "settings", key: "p", place: "menu", rights: [], load: () => import("./settings/Settings.svelte") },
  { name: "help", place: "menu", rights: [], load: () => import("./help/Help.svelte") },
  { name: "wall", place: "menu", rights: [], bare: true, load: () => import("./wall/Wall.svelte") },
];

export const screenOf = (name: string): Screen | undefined => SCREENS.find((screen) => screen.name === name);
