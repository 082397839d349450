// The fleet in grey circles that say how many: one pass over all points, cut into slices, so that the page never waits for it.
// Points do not move, so one result serves until the list or the filter changes.

export interface Field {
  x: Float64Array;
  y: Float64Array;
  off: Uint8Array;
}

export interface Clusters {
  zoom: number;
  /** Pixels of the world at zoom 0: the mean of the members. */
  x: Float64Array;
  y: Float64Array;
  count: Uint32Array;
  off: Uint32Array;
  /** A member; of a cluster of one, it. */
  first: Int32Array;
  length: number;
}

/** Wide enough that two neighbours' circles do not touch. */
export const CELL_PX = 76;
/** From here on every device is drawn. */
export const ALONE_FROM_ZOOM = 17;
const SLICE = 4_096;

/** Cells are fixed to the world, so that clusters stay where they are while the map moves. Yields between slices. */
export function* clusterSteps(field: Field, zoom: number, shown: (at: number) => boolean): Generator<void, Clusters> {
  const scale = 2 ** zoom / CELL_PX;
  const row = Math.ceil(256 * scale) + 1;
  const cells = new Map<number, number>();
  const n = field.x.length;
  const x: number[] = [];
  const y: number[] = [];
  const count: number[] = [];
  const off: number[] = [];
  const first: number[] = [];
  for (let i = 0; i < n; i += 1) {
    if (i % SLICE === SLICE - 1) yield;
    if (!shown(i)) continue;
    const px = field.x[i] ?? 0;
    const py = field.y[i] ?? 0;
    const key = Math.floor(py * scale) * row + Math.floor(px * scale);
    let at = cells.get(key);
    if (at === undefined) {
      at = count.length;
      cells.set(key, at);
      x.push(0);
      y.push(0);
      count.push(0);
      off.push(0);
      first.push(i);
    }
    x[at] = (x[at] ?? 0) + px;
    y[at] = (y[at] ?? 0) + py;
    count[at] = (count[at] ?? 0) + 1;
    off[at] = (off[at] ?? 0) + (field.off[i] ?? 0);
  }
  yield;
  const length = count.length;
  return {
    zoom, length,
    x: Float64Array.from(x, (sum, at) => sum / (count[at] ?? 1)),
    y: Float64Array.from(y, (sum, at) => sum / (count[at] ?? 1)),
    count: Uint32Array.from(count), off: Uint32Array.from(off), first: Int32Array.from(first),
  };
}

/** All at once, for tests and for few points. */
export function clusterNow(field: Field, zoom: number, shown: (at: number) => boolean = () => true): Clusters {
  const steps = clusterSteps(field, zoom, shown);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export interface Task {
  cancel: () => void;
}

/** Runs the steps for at most `budgetMs` at a time and lets the page breathe between. */
export function inSlices<T>(steps: Generator<void, T>, done: (value: T) => void, budgetMs = 8, now = (): number => performance.now(), later = (run: () => void): void => { setTimeout(run, 0); }): Task {
  let over = false;
  const run = (): void => {
    const until = now() + budgetMs;
    while (!over) {
      const step = steps.next();
      if (step.done) {
        done(step.value);
        return;
      }
      if (now() >= until) {
        later(run);
        return;
      }
    }
  };
  run();
  return { cancel: () => { over = true; } };
}
