import { expect, test } from "vitest";
import { labelsOf, marksOf, valuesOf, wallOf, whenWall } from "./axis";

const at = (text: string): number => Date.parse(text);
const iso = (marks: number[]): string[] => marks.map((mark) => new Date(mark).toISOString().slice(0, 16));

test("midnights are those of the city, not of UTC", () => {
  expect(iso(marksOf(at("2026-11-20T00:00:00Z"), at("2026-11-23T00:00:00Z"), 3, "Asia/Shanghai")))
    .toEqual(["2026-11-20T16:00", "2026-11-21T16:00", "2026-11-22T16:00"]);
});

test("labels name the wall clock of the city and the day below the first mark and each midnight", () => {
  const marks = marksOf(at("2026-11-22T12:00:00Z"), at("2026-11-23T00:00:00Z"), 4, "Asia/Shanghai");
  expect(labelsOf(marks, "Asia/Shanghai")).toEqual(["21:00\n11-22", "00:00\n11-23", "03:00", "06:00"]);
});

// Berlin 2026: clocks go from 02:00 to 03:00 on 29 March (01:00 UTC), and from 03:00 back to 02:00 on 25 October (01:00 UTC).
test("six-hour marks stay on the wall clock when summer time begins", () => {
  const marks = marksOf(at("2026-03-28T17:00:00Z"), at("2026-03-29T17:00:00Z"), 4, "Europe/Berlin");
  expect(iso(marks)).toEqual(["2026-03-28T17:00", "2026-03-28T23:00", "2026-03-29T04:00", "2026-03-29T10:00", "2026-03-29T16:00"]);
  expect(labelsOf(marks, "Europe/Berlin")).toEqual(["18:00\n03-28", "00:00\n03-29", "06:00", "12:00", "18:00"]);
});

test("the hour that comes twice is marked twice when summer time ends", () => {
  const marks = marksOf(at("2026-10-24T23:30:00Z"), at("2026-10-25T02:30:00Z"), 3, "Europe/Berlin");
  expect(labelsOf(marks, "Europe/Berlin")).toEqual(["02:00\n10-25", "02:00", "03:00"]);
  expect(iso(marks)).toEqual(["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]);
});

test("midnights are 23 and 25 hours apart where the clock changes", () => {
  const spring = marksOf(at("2026-03-28T00:00:00Z"), at("2026-03-30T12:00:00Z"), 3, "Europe/Berlin");
  expect(iso(spring)).toEqual(["2026-03-28T23:00", "2026-03-29T22:00"]);
  const autumn = marksOf(at("2026-10-24T00:00:00Z"), at("2026-10-26T12:00:00Z"), 3, "Europe/Berlin");
  expect(iso(autumn)).toEqual(["2026-10-24T22:00", "2026-10-25T23:00"]);
});

test("a time that the wall clock leaps over is the moment after the leap", () => {
  expect(new Date(whenWall(Date.UTC(2026, 2, 29, 2, 30), "Europe/Berlin")).toISOString()).toBe("2026-03-29T01:30:00.000Z");
  expect(wallOf(at("2026-03-29T01:30:00Z"), "Europe/Berlin")).toBe(Date.UTC(2026, 2, 29, 3, 30));
});

test("a time that comes twice is the first of the two", () => {
  expect(new Date(whenWall(Date.UTC(2026, 9, 25, 2, 30), "Europe/Berlin")).toISOString()).toBe("2026-10-25T00:30:00.000Z");
});

test("seconds are shown when marks are closer than a minute", () => {
  const marks = marksOf(at("2026-11-22T00:00:00Z"), at("2026-11-22T00:01:00Z"), 3, "Asia/Shanghai");
  expect(labelsOf(marks, "Asia/Shanghai")).toEqual(["08:00:00\n11-22", "08:00:30", "08:01:00"]);
});

test("values of an axis are round and inside of it, about as many as were asked for", () => {
  expect(valuesOf(0.18, 0.47, 6)).toEqual([0.2, 0.25, 0.3, 0.35, 0.4, 0.45]);
  expect(valuesOf(-3, 4, 4)).toEqual([-2, 0, 2, 4]);
  expect(valuesOf(99_990, 100_010, 2)).toEqual([99_990, 100_000, 100_010]);
});
