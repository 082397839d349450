import { expect, test } from "vitest";
import { windowOf } from "./window-of";

test("of a hundred thousand rows only those in view are drawn, and a few more", () => {
  expect(windowOf({ top: 36_000, height: 720, rowPx: 36, count: 100_000 })).toEqual({ from: 994, to: 1_026 });
});

test("the ends of the list hold", () => {
  expect(windowOf({ top: 0, height: 720, rowPx: 36, count: 3 })).toEqual({ from: 0, to: 3 });
  expect(windowOf({ top: 9_999, height: 720, rowPx: 36, count: 30 })).toEqual({ from: 4, to: 30 });
});
