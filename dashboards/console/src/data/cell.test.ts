import { expect, test } from "vitest";
import { cell, derived } from "./cell";

test("who listens is told at once and after every change, and not after leaving", () => {
  const heard: number[] = [];
  const c = cell(1);
  const leave = c.subscribe((n) => heard.push(n));
  c.set(1);
  c.set(2);
  c.update((n) => n + 1);
  leave();
  c.set(9);
  expect(heard).toEqual([1, 2, 3]);
  expect(derived(c, (n) => n * 2).get()).toBe(18);
});
