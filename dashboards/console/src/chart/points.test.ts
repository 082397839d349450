import { expect, test } from "vitest";
import { alone, appended, bandOf, doubtfulOf, figuresOf, gapMs, lineOf, number, planOf, rangeOf, type Point } from "./points";

const good = (at: number, value: number): Point => [at, value, "good"];

test("a pause of more than three cadences breaks the line", () => {
  const points = [good(0, 1), good(60_000, 2), good(240_000, 3), good(420_001, 4)];
  expect(lineOf(points, gapMs(60))).toEqual({ x: [0, 60, 240, 330.0005, 420.001], low: [1, 2, 3, null, 4], high: [1, 2, 3, null, 4] });
});

test("bad readings are no part of the line, uncertain ones are; both stand apart", () => {
  const points: Point[] = [good(0, 1), [10_000, 9_999, "bad:range"], [20_000, 3, "uncertain:stale"]];
  expect(lineOf(points, 30_000).low).toEqual([1, 3]);
  expect(doubtfulOf(points).map((point) => point.value)).toEqual([9_999, 3]);
});

test("a bucket keeps its least and its greatest", () => {
  const points = [good(1_000, 5), good(50_000, 2), good(61_000, 9), good(62_000, 7)];
  expect(bandOf(points, 60_000, 120_000)).toEqual({ x: [30, 90], low: [2, 7], high: [5, 9] });
});

test("empty buckets in a row are a hole in the band", () => {
  const band = bandOf([good(0, 1), good(300_000, 2)], 60_000, 120_000);
  expect(band.low).toEqual([1, null, 2]);
  expect(band.x[1]).toBe(180);
});

test("a gap is three cadences, but never less than two buckets", () => {
  expect(gapMs(60)).toBe(180_000);
  expect(gapMs(10, 60_000)).toBe(120_000);
  expect(gapMs(undefined)).toBe(180_000);
});

test("what is appended comes once, and what has left the range goes", () => {
  const points = [good(1, 1), good(2, 2), good(3, 3)];
  expect(appended(points, [good(3, 3), good(4, 4)], 2)).toEqual([good(2, 2), good(3, 3), good(4, 4)]);
  expect(appended(points, [], 9)).toEqual([]);
});

test("every reading is read while they are few, else buckets of a round length", () => {
  expect(planOf(0, 3_600_000, 60, 800)).toEqual({ agg: "raw", stepMs: 0 });
  expect(planOf(0, 7 * 86_400_000, 60, 800)).toEqual({ agg: "minmax", stepMs: 1_800_000 });
});

test("figures leave out bad readings and count gaps", () => {
  const points: Point[] = [good(0, 1), [1, 9_999, "bad:range"], good(600_000, 3)];
  expect(figuresOf(points, lineOf(points, 180_000))).toEqual({ count: 3, doubtful: 1, gaps: 1, least: 1, greatest: 3, last: 3 });
});

test("the axis holds a limit that is near, and not one that is far", () => {
  expect(rangeOf(300, 312, [400])[1]).toBeGreaterThan(400);
  expect(rangeOf(300, 312, [4_000])[1]).toBeLessThan(330);
  expect(rangeOf(null, null, [])).toEqual([0, 1]);
  expect(rangeOf(0, 10, [])[0]).toBe(0);
});

test("numbers have the digits that tell them apart", () => {
  expect([number(312.4), number(0.4567), number(1.256), number(5)]).toEqual(["312.4", "0.457", "1.26", "5"]);
});

test("a reading between two gaps is found, so that it can be drawn as a point", () => {
  expect(alone([1, null, 2, null, 3, 4])).toEqual([0, 2]);
  expect(alone([])).toEqual([]);
});
