import { expect, test } from "vitest";
import { CELL_PX, clusterNow, clusterSteps, inSlices, type Field } from "./cluster";

const field = (points: [number, number, number?][]): Field => ({
  x: Float64Array.from(points, ([x]) => x), y: Float64Array.from(points, ([, y]) => y), off: Uint8Array.from(points, ([, , off]) => off ?? 0),
});

test("points of one cell are one circle at their middle, which counts those that are off", () => {
  const found = clusterNow(field([[10, 10], [20, 20, 1], [CELL_PX + 10, 10]]), 0);
  expect(found.length).toBe(2);
  expect([...found.count]).toEqual([2, 1]);
  expect([...found.off]).toEqual([1, 0]);
  expect([found.x[0], found.y[0]]).toEqual([15, 15]);
  expect(found.first[1]).toBe(2);
});

test("a closer zoom takes clusters apart", () => {
  const points = field([[10, 10], [20, 20]]);
  expect(clusterNow(points, 0).length).toBe(1);
  expect(clusterNow(points, 4).length).toBe(2);
});

test("nothing is lost: the counts add up to the points that are shown", () => {
  const points = field(Array.from({ length: 10_000 }, (_, at) => [(at * 7919) % 256, (at * 104_729) % 256] as [number, number]));
  const found = clusterNow(points, 3, (at) => at % 2 === 0);
  expect([...found.count].reduce((sum, n) => sum + n, 0)).toBe(5_000);
});

test("the work stops when its time is over and goes on later", () => {
  const points = field(Array.from({ length: 20_000 }, (_, at) => [at % 256, at % 200] as [number, number]));
  const waiting: (() => void)[] = [];
  let clock = 0;
  let done = 0;
  inSlices(clusterSteps(points, 2, () => true), () => { done += 1; }, 8, () => { clock += 5; return clock; }, (run) => { waiting.push(run); });
  let pauses = 0;
  while (waiting.length > 0) {
    pauses += 1;
    waiting.shift()?.();
  }
  expect(done).toBe(1);
  expect(pauses).toBeGreaterThanOrEqual(2);
});

test("work that was cancelled never ends", () => {
  const waiting: (() => void)[] = [];
  let done = 0;
  const points = field(Array.from({ length: 20_000 }, () => [1, 1] as [number, number]));
  const task = inSlices(clusterSteps(points, 2, () => true), () => { done += 1; }, 0, () => 0, (run) => { waiting.push(run); });
  task.cancel();
  waiting.forEach((run) => run());
  expect(done).toBe(0);
});
