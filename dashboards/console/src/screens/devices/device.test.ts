import { expect, test } from "vitest";
import type { AlarmHappening, Device } from "../../data/rows";
import { deedsOf, inputOf, mainMetric, rangeOf, readLocal, valueText } from "./device";

test("what a device is there for is shown first, what is about itself last", () => {
  expect(mainMetric("gas_pressure", ["battery_pct", "pressure_kpa", "temperature_c"])).toBe("pressure_kpa");
  expect(mainMetric("sewage", ["battery_pct", "ph"])).toBe("ph");
  expect(mainMetric("gateway", ["battery_pct"])).toBe("battery_pct");
  expect(mainMetric("bike", ["position"])).toBeNull();
});

test("a time that was typed is one of the city's clock", () => {
  expect(readLocal("2026-11-22T08:00", "Asia/Shanghai")).toBe(Date.parse("2026-11-22T00:00:00Z"));
  expect(readLocal("nonsense", "Asia/Shanghai")).toBeNaN();
});

test("a range that ends before it begins is the usual one", () => {
  const now = Date.parse("2026-11-22T04:00:00Z");
  expect(rangeOf("own", "2026-11-22T08:00", "2026-11-22T07:00", now, "Asia/Shanghai")).toEqual({ from: now - 21_600_000, to: now });
  expect(rangeOf("h1", null, null, now)).toEqual({ from: now - 3_600_000, to: now });
});

test("values are written as they are", () => {
  expect([valueText(312.44), valueText(true), valueText({ lon: 118.1, lat: 24.5 })]).toEqual(["312.4", "1", "118.10000, 24.50000"]);
});

test("what the hub adds to a row is not sent back", () => {
  const row = { id: "a", kind: "noise", enabled: true, status: "online", since: null, cause: null, last_seen: null, grid: "g", latest: {} } as Device;
  expect(Object.keys(inputOf(row)).filter((key) => inputOf(row)[key] !== undefined)).toEqual(["id", "kind", "enabled"]);
});

test("acknowledgements and remarks are marks, and a shelf is a band until the next thing happens", () => {
  const happened = (at: string, kind: string, state: string) => ({ at: `2026-11-22T${at}:00Z`, kind, state, actor: "wang" }) as AlarmHappening;
  const { marks, shades } = deedsOf([
    [happened("08:00", "raised", "active_unacked"), happened("08:01", "acked", "active_acked"), happened("08:05", "shelved", "shelved"), happened("09:05", "unshelved", "active_unacked")],
    [happened("10:00", "out_of_service", "out_of_service")],
  ]);
  expect(marks).toEqual([{ at: Date.parse("2026-11-22T08:01:00Z"), kind: "acked", label: "wang" }]);
  expect(shades.map((shade) => [shade.from, shade.to])).toEqual([
    [Date.parse("2026-11-22T08:05:00Z"), Date.parse("2026-11-22T09:05:00Z")], [Date.parse("2026-11-22T10:00:00Z"), Infinity],
  ]);
});
