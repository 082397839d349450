import { expect, test } from "vitest";
import { figure, measured, sideOf } from "./alarm-words";

const base = { metric: "pressure_kpa", unit: "kPa", rule_kind: "threshold" };

test("figures have no more digits than a sensor knows", () => {
  expect([figure(64.079036691), figure(1686.166666667), figure(0.01), figure(400), figure(-3), figure(null)]).toEqual(["64.08", "1686.2", "0.01", "400", "-3", "—"]);
});

test("the side of the limit is told by the worst value, not by the last", () => {
  expect(sideOf({ peak: 450, value: 300, limit: 400 })).toBe("above");
  expect(sideOf({ peak: 2.1, value: 3.5, limit: 3 })).toBe("below");
  expect(sideOf({ peak: null, value: null, limit: 3 })).toBeNull();
});

test("a value beyond its limit is shown as such; one that came back shows its worst", () => {
  expect(measured({ ...base, value: 450.5, limit: 400, peak: 450.5 })).toEqual({ value: "450.5 kPa", limit: "＞ 400", beyond: true, peak: null });
  expect(measured({ ...base, value: 1.8, limit: 3, peak: 1.8 })).toMatchObject({ limit: "＜ 3", beyond: true });
  expect(measured({ ...base, value: 307.3, limit: 400, peak: 450.5 })).toEqual({ value: "307.3 kPa", limit: "400", beyond: false, peak: "450.5" });
});

test("yes or no, and silence, are told by their title alone", () => {
  expect(measured({ metric: "smoke_alarm", unit: "", rule_kind: "threshold", value: 1, limit: 0.5, peak: 1 })).toBeNull();
  expect(measured({ ...base, rule_kind: "silence", value: 90, limit: 60, peak: 90 })).toBeNull();
});
