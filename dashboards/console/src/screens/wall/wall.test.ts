import { expect, test } from "vitest";
import { hoursOf, mustReload, shiftAt, staleMs } from "./wall";

test("alarms stand in the hour in which they were raised, and older ones do not count", () => {
  const now = Date.parse("2026-11-22T12:30:00Z");
  const bars = hoursOf([now - 60_000, now - 3_500_000, now - 3_700_000, now - 24 * 3_600_000, now + 1], now);
  expect(bars).toHaveLength(24);
  expect(bars[23]).toBe(2);
  expect(bars[22]).toBe(1);
  expect(bars.reduce((sum, n) => sum + n, 0)).toBe(3);
});

test("the wall says for how long it has heard nothing", () => {
  expect(staleMs({ state: "live", heardAt: 0, since: 0 }, 99_000)).toBeNull();
  expect(staleMs({ state: "broken", heardAt: 10_000, since: 30_000 }, 80_000)).toBe(70_000);
  expect(staleMs({ state: "broken", heardAt: null, since: 30_000 }, 80_000)).toBe(50_000);
});

test("the picture moves by two pixels every ten minutes and comes back", () => {
  expect([0, 600_000, 1_200_000, 1_800_000, 2_400_000].map(shiftAt)).toEqual([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]);
});

test("it loads anew at four in the morning and for a new build, not else", () => {
  expect(mustReload("2026-11-22 03:59:59", "2026-11-22 04:00:00", "a", "a")).toBe(true);
  expect(mustReload("2026-11-22 04:00:00", "2026-11-22 04:00:01", "a", "a")).toBe(false);
  expect(mustReload("2026-11-22 12:00:00", "2026-11-22 12:00:01", "a", "b")).toBe(true);
  expect(mustReload("2026-11-22 12:00:00", "2026-11-22 12:00:01", null, "b")).toBe(false);
});
