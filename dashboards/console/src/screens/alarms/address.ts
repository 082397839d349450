// The view of the alarm list as its address says it, so that a view can be shared and kept.

import { GROUPINGS, type AlarmFilter, type Grouping } from "../../data/alarm-order";
import { ALARM_STATES, SEVERITIES, type AlarmState, type Severity } from "../../data/rows";

export const TABS = ["open", "shelved", "suppressed", "out_of_service", "history"] as const;
export type Tab = (typeof TABS)[number];

export interface View {
  tab: Tab;
  filter: AlarmFilter;
  group: Grouping;
}

function some<T extends string>(text: string | null, known: readonly T[]): T[] {
  return (text ?? "").split(",").filter((one): one is T => (known as readonly string[]).includes(one));
}

export function viewOf(query: URLSearchParams): View {
  const group = query.get("group") as Grouping | null;
  return {
    tab: some(query.get("tab"), TABS)[0] ?? "open",
    group: group !== null && GROUPINGS.includes(group) ? group : "site",
    filter: {
      severities: some<Severity>(query.get("severity"), SEVERITIES),
      states: some<AlarmState>(query.get("state"), ALARM_STATES),
      kinds: (query.get("kind") ?? "").split(",").filter(Boolean),
      grid: query.get("grid") ?? "",
      site: query.get("site") ?? "",
      text: query.get("q") ?? "",
    },
  };
}

/** Adds to or takes from a list in the address; null removes the key. */
export function toggled(list: readonly string[], one: string): string | null {
  const next = list.includes(one) ? list.filter((other) => other !== one) : [...list, one];
  return next.length === 0 ? null : next.join(",");
}

/** What the hub is asked for the history. */
export function historyQuery(view: View): Record<string, string> {
  return {
    state: "normal", severity: view.filter.severities.join(","), kind: view.filter.kinds[0] ?? "", grid: view.filter.grid, q: view.filter.text,
  };
}

/** Which states a tab shows; the history is asked of the hub. */
export const TAB_STATES: Record<Exclude<Tab, "history">, readonly AlarmState[]> = {
  open: ["active_unacked", "latched_unacked", "cleared_unacked", "active_acked", "latched_acked", "normal"],
  shelved: ["shelved"],
  suppressed: ["suppressed"],
  out_of_service: ["out_of_service"],
};
