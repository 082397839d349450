import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { batch } from "./batch";

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

test("events of a tenth of a second are handed on together", () => {
  const handed: number[][] = [];
  const b = batch<number>((items) => handed.push(items), () => 100);
  b.add(1);
  b.add(2);
  vi.advanceTimersByTime(99);
  expect(handed).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(handed).toEqual([[1, 2]]);
});

test("an urgent event takes all before it along at once", () => {
  const handed: number[][] = [];
  const b = batch<number>((items) => handed.push(items), () => 100);
  b.add(1);
  b.add(2, true);
  expect(handed).toEqual([[1, 2]]);
  vi.advanceTimersByTime(200);
  expect(handed).toEqual([[1, 2]]);
});

test("urgent events that come in a heap are handed on together", () => {
  const handed: number[][] = [];
  const b = batch<number>((items) => handed.push(items), () => 100, () => Date.now());
  b.add(1, true);
  b.add(2, true);
  vi.advanceTimersByTime(20);
  b.add(3, true);
  vi.advanceTimersByTime(29);
  expect(handed).toEqual([[1]]);
  vi.advanceTimersByTime(1);
  expect(handed).toEqual([[1], [2, 3]]);
});
