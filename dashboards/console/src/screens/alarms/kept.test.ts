import { expect, test } from "vitest";
import { keep, keptViews } from "./kept";

function storage(): Pick<Storage, "getItem" | "setItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

test("each person keeps views of their own, a name gets new filters, and one without filters goes", () => {
  const store = storage();
  keep("wang", { name: "燃气", query: "kind=gas_pressure" }, store);
  keep("wang", { name: "夜间", query: "severity=critical" }, store);
  expect(keep("wang", { name: "燃气", query: "kind=gas_pressure&tab=history" }, store)).toEqual([
    { name: "夜间", query: "severity=critical" }, { name: "燃气", query: "kind=gas_pressure&tab=history" },
  ]);
  expect(keptViews("chen", store)).toEqual([]);
  keep("wang", { name: "夜间", query: "" }, store);
  expect(keptViews("wang", store).map((one) => one.name)).toEqual(["燃气"]);
});

test("what somebody else wrote there is not trusted", () => {
  for (const text of ["{", "5", '[{"name":1},{"name":"a","query":"b"}]']) {
    expect(keptViews("wang", { getItem: () => text }).length).toBeLessThan(2);
  }
});
