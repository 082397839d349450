import { expect, test } from "vitest";
import { FrozenOrder } from "./frozen";

const all = (): boolean => true;

test("while somebody points, rows keep their places and new ones wait", () => {
  const frozen = new FrozenOrder();
  frozen.next(["a", "b", "c"], false, all);
  expect(frozen.next(["new", "c", "a"], true, all)).toEqual({ order: ["a", "b", "c"], waiting: ["new"] });
  expect(frozen.next(["new", "c", "a"], false, all)).toEqual({ order: ["new", "c", "a"], waiting: [] });
});

test("only a row of which nothing is known any more is taken away under the pointer", () => {
  const frozen = new FrozenOrder();
  frozen.next(["a", "b", "c"], false, all);
  expect(frozen.next(["a"], true, (id) => id !== "b").order).toEqual(["a", "c"]);
});
