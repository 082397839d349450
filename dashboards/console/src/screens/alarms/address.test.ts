import { expect, test } from "vitest";
import { toggled, viewOf } from "./address";

test("an address says tab, filter and grouping; what it does not know is left out", () => {
  const view = viewOf(new URLSearchParams("tab=shelved&severity=critical,nonsense&group=rule&q=%E8%8A%B1"));
  expect([view.tab, view.filter.severities, view.group, view.filter.text]).toEqual(["shelved", ["critical"], "rule", "花"]);
  expect(viewOf(new URLSearchParams("tab=x&group=y"))).toMatchObject({ tab: "open", group: "site" });
});

test("a filter is added and taken away again", () => {
  expect(toggled([], "a")).toBe("a");
  expect(toggled(["a"], "b")).toBe("a,b");
  expect(toggled(["a"], "a")).toBeNull();
});
