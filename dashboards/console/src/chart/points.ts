// What a series becomes before it is drawn: gaps are holes, doubtful readings stand apart, buckets become bands.

/** Milliseconds, value, quality; as the hub sends them. */
export type Point = [number, number, string];

export interface Columns {
  /** Seconds. */
  x: number[];
  low: (number | null)[];
  /** Same as `low` where every reading is shown. */
  high: (number | null)[];
}

export interface Doubtful {
  at: number;
  value: number;
  quality: string;
}

const GAP_CADENCES = 3;
const GAP_UNKNOWN_MS = 180_000;

/** A pause longer than this is a gap: three times the cadence, as the hub counts a device as offline. */
export function gapMs(cadenceS: number | undefined, stepMs = 0): number {
  const own = cadenceS === undefined ? GAP_UNKNOWN_MS : cadenceS * 1_000 * GAP_CADENCES;
  return Math.max(own, stepMs * 2);
}

export const isGood = (quality: string): boolean => quality === "good";
export const isBad = (quality: string): boolean => quality.startsWith("bad");

/** Readings that are not good, drawn as hollow points. */
export function doubtfulOf(points: readonly Point[]): Doubtful[] {
  return points.filter((point) => !isGood(point[2])).map(([at, value, quality]) => ({ at, value, quality }));
}

/** The line: bad readings are no part of it, and it breaks where nothing was measured. */
export function lineOf(points: readonly Point[], gap: number): Columns {
  const columns: Columns = { x: [], low: [], high: [] };
  let before: number | null = null;
  for (const [at, value, quality] of points) {
    if (isBad(quality)) continue;
    if (before !== null && at - before > gap) hole(columns, (before + at) / 2);
    columns.x.push(at / 1_000);
    columns.low.push(value);
    columns.high.push(value);
    before = at;
  }
  return columns;
}

/** Least and greatest of each bucket of `stepMs`, so that no peak is averaged away. */
export function bandOf(points: readonly Point[], stepMs: number, gap: number): Columns {
  const columns: Columns = { x: [], low: [], high: [] };
  let bucket = NaN;
  let last = -1;
  for (const [at, value, quality] of points) {
    if (isBad(quality)) continue;
    const start = Math.floor(at / stepMs) * stepMs;
    if (start === bucket) {
      columns.low[last] = Math.min(columns.low[last] ?? value, value);
      columns.high[last] = Math.max(columns.high[last] ?? value, value);
      continue;
    }
    if (start - bucket > gap) hole(columns, (bucket + start + stepMs) / 2);
    bucket = start;
    last = columns.x.push((start + stepMs / 2) / 1_000) - 1;
    columns.low.push(value);
    columns.high.push(value);
  }
  return columns;
}

/** Where readings stand that have a gap on both sides: no line would show them. */
export function alone(values: readonly (number | null)[]): number[] {
  return values.flatMap((value, i) => (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));
}

function hole(columns: Columns, at: number): void {
  columns.x.push(at / 1_000);
  columns.low.push(null);
  columns.high.push(null);
}

/** Adds what is newer; what was read twice stays once. */
export function appended(points: readonly Point[], more: readonly Point[], from: number): Point[] {
  const last = points[points.length - 1]?.[0] ?? -Infinity;
  const added = more.filter((point) => point[0] > last);
  const first = points.findIndex((point) => point[0] >= from);
  const kept = first === -1 ? [] : points.slice(first);
  return added.length === 0 ? kept : [...kept, ...added];
}

export interface Plan {
  agg: "raw" | "minmax";
  stepMs: number;
}

const RAW_MAX = 5_000;
/** Steps that a reader can name. */
const STEPS_MS = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400].map((s) => s * 1_000);

/** Every reading while that is cheap, else least and greatest of about one bucket per two pixels. */
export function planOf(fromMs: number, toMs: number, cadenceS: number | undefined, widthPx: number): Plan {
  const span = toMs - fromMs;
  if (span / ((cadenceS ?? 60) * 1_000) <= RAW_MAX) return { agg: "raw", stepMs: 0 };
  const wanted = span / Math.max(100, widthPx / 2);
  return { agg: "minmax", stepMs: STEPS_MS.find((step) => step >= wanted) ?? 86_400_000 };
}

export interface Figures {
  count: number;
  doubtful: number;
  gaps: number;
  least: number | null;
  greatest: number | null;
  last: number | null;
}

export function figuresOf(points: readonly Point[], columns: Columns): Figures {
  let least: number | null = null;
  let greatest: number | null = null;
  let gaps = 0;
  let last: number | null = null;
  columns.x.forEach((_, at) => {
    const low = columns.low[at] ?? null;
    const high = columns.high[at] ?? null;
    if (low === null || high === null) gaps += 1;
    else {
      least = least === null ? low : Math.min(least, low);
      greatest = greatest === null ? high : Math.max(greatest, high);
      last = high;
    }
  });
  return { count: points.length, doubtful: doubtfulOf(points).length, gaps, least, greatest, last };
}

/** The range of the value axis: all that counts and the limits near it, never what is plainly wrong. */
export function rangeOf(least: number | null, greatest: number | null, limits: readonly number[]): [number, number] {
  const seen = [least, greatest].filter((value): value is number => value !== null && Number.isFinite(value));
  if (seen.length === 0) seen.push(...limits);
  if (seen.length === 0) return [0, 1];
  let low = Math.min(...seen);
  let high = Math.max(...seen);
  const reach = Math.max(high - low, Math.abs(high) * 0.3, 1e-9);
  for (const limit of limits) {
    if (limit >= low - reach * 2 && limit <= high + reach * 2) {
      low = Math.min(low, limit);
      high = Math.max(high, limit);
    }
  }
  const pad = Math.max((high - low) * 0.08, Math.abs(high) * 0.005, 1e-6);
  return [low - (low >= 0 && low - pad < 0 ? low : pad), high + pad];
}

/** As many digits as the axis needs, and no more. */
export function number(value: number, spread = Math.abs(value)): string {
  const digits = spread >= 100 ? 1 : spread >= 1 ? 2 : 3;
  return String(Number(value.toFixed(digits)));
}
