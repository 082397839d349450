import { describe, expect, it } from "vitest";
import type { Indicator } from "../../data/rows";
import { isBeyond, sampleOf, written } from "./figures";
import { levelOf, stripOf } from "./load";
import { before, dateOf, periodOf } from "./period";

const at = (text: string): number => Date.parse(text);

describe("periods", () => {
  // Sunday, 22 November 2026, 12:00 in Shanghai.
  const now = at("2026-11-22T04:00:00Z");
  const zone = "Asia/Shanghai";
  it("begin at midnight, on Monday, and on the first of the city's calendar", () => {
    expect(periodOf("day", null, null, now, zone).from).toBe(at("2026-11-21T16:00:00Z"));
    expect(periodOf("week", null, null, now, zone).from).toBe(at("2026-11-15T16:00:00Z"));
    expect(periodOf("month", null, null, now, zone).from).toBe(at("2026-10-31T16:00:00Z"));
  });
  it("of one's own hold both days whole, and what cannot be is the usual one", () => {
    expect(periodOf("own", "2026-11-01", "2026-11-02", now, zone)).toEqual({ from: at("2026-10-31T16:00:00Z"), to: at("2026-11-02T16:00:00Z") });
    expect(periodOf("own", "2026-11-05", "2026-11-02", now, zone).from).toBe(now - 30 * 86_400_000);
    expect(before({ from: 10, to: 15 })).toEqual({ from: 5, to: 10 });
    expect(dateOf(at("2026-11-21T17:00:00Z"), zone)).toBe("2026-11-22");
  });
});

describe("the load of alarms", () => {
  it("counts by the hour of the city's day, with the most of one 10-minute period", () => {
    const told = ["01:01", "01:02", "01:12", "05:00"].map((time) => ({ announced_at: `2026-11-22T${time}:00Z` }));
    const strip = stripOf(told, at("2026-11-21T16:00:00Z"), at("2026-11-22T04:30:00Z"), "Asia/Shanghai");
    expect(strip.days.map((day) => day.date)).toEqual(["2026-11-22"]);
    expect(strip.days[0]?.hours[9]).toEqual({ alarms: 3, peak: 2 });
    expect(strip.days[0]?.hours[12]).toEqual({ alarms: 0, peak: 0 });
    expect(strip.days[0]?.hours[13]).toBeNull();
  });
  it("knows the lines at one and ten", () => {
    expect([0, 1, 2, 10, 11].map(levelOf)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe("figures", () => {
  it("are written by what they measure", () => {
    expect(written("flood_share", 0.0123)).toBe("1.23 %");
    expect(written("open_to_accept_s", 75)).toBe("00:01:15");
    expect(written("per_10min", 0.0521)).toBe("0.05");
    expect(written("close_rate", null)).toBe("—");
  });
  it("are beyond their target above it, but a mix of priorities is only aimed at", () => {
    const target = (name: string, most: number | null): Indicator => ({ name, target: most } as Indicator);
    expect(isBeyond(target("peak_10min", 10), 11)).toBe(true);
    expect(isBeyond(target("peak_10min", 10), 10)).toBe(false);
    expect(isBeyond(target("low_share", 0.8), 0.9)).toBe(false);
    expect(sampleOf("close_rate", { should_close: 4 })).toBe(4);
  });
});
