import { expect, test } from "vitest";
import { clock, duration, full, moment, zoneName } from "./time";

test("times are those of the city, whatever the browser's zone", () => {
  expect(clock("2026-03-01T16:30:05Z", "Asia/Shanghai")).toBe("00:30:05");
  expect(full("2026-03-01T16:30:05Z", "Asia/Shanghai")).toBe("2026-03-02 00:30:05");
  expect(full("2026-03-29T00:59:59Z", "Europe/Berlin")).toBe("2026-03-29 01:59:59");
  expect(full("2026-03-29T01:00:00Z", "Europe/Berlin")).toBe("2026-03-29 03:00:00");
  expect(zoneName("Asia/Shanghai", 0)).toBe("UTC+8");
});

test("the day is told only when it is another one", () => {
  const ref = Date.parse("2026-03-01T16:30:00Z");
  expect(moment("2026-03-01T16:10:00Z", ref, "Asia/Shanghai")).toBe("00:10:00");
  expect(moment("2026-03-01T15:10:00Z", ref, "Asia/Shanghai")).toBe("03-01 23:10:00");
});

test("durations run to days and never below zero", () => {
  expect(duration(3_723_999)).toBe("01:02:03");
  expect(duration(90_061_000)).toBe("1 d 01:01:01");
  expect(duration(-5)).toBe("00:00:00");
});

test("what is no time is shown as none", () => {
  expect(clock(null)).toBe("—");
  expect(clock("nonsense")).toBe("—");
});
