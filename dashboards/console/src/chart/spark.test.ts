import { expect, test } from "vitest";
import { median, spark } from "./spark";

const box = { width: 100, height: 50, from: 0, to: 100 };
const point = (at: number, value: number) => ({ at, value, good: true });

test("the line breaks where nothing came", () => {
  const drawn = spark([point(0, 1), point(10, 1), point(20, 1), point(80, 1), point(90, 1)], [], box);
  expect(drawn.lines.length).toBe(2);
  expect(drawn.lines[0]?.startsWith("M0.0")).toBe(true);
});

test("the limit is always in the picture", () => {
  const drawn = spark([point(0, 1), point(10, 2)], [100], box);
  expect(drawn.y(100)).toBeGreaterThan(0);
  expect(drawn.y(1)).toBeLessThan(50);
  expect(drawn.x(50)).toBe(50);
});

test("nothing to draw is no error", () => {
  expect(spark([], [], box).lines).toEqual([]);
  expect(median([])).toBe(0);
});

test("a reading that stands alone is seen", () => {
  expect(spark([point(50, 7)], [], box).lines).toEqual(["M50.0 25.0m-3 0h6"]);
  expect(spark([point(0, 1), point(1, 1), point(2, 1), point(90, 1)], [], box).lines[1]).toBe("M90.0 25.0m-3 0h6");
});
