// Geometry of the small chart beside an alarm: where the line runs, and where its limit lies.

export interface SparkPoint {
  at: number;
  value: number;
  good: boolean;
}

export interface SparkBox {
  width: number;
  height: number;
  from: number;
  to: number;
}

export interface Spark {
  /** Paths of SVG: one for each stretch without a gap. */
  lines: string[];
  min: number;
  max: number;
  x(at: number): number;
  y(value: number): number;
}

/** A gap is where nothing came for four times the usual distance: the line breaks, it does not guess. */
const GAP_FACTOR = 4;
const MARGIN = 0.08;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export function spark(points: readonly SparkPoint[], limits: readonly number[], box: SparkBox): Spark {
  const values = points.map((point) => point.value).concat(limits);
  let min = Math.min(...values);
  let max = Math.max(...values);
  if (!Number.isFinite(min)) [min, max] = [0, 1];
  const spread = max - min || Math.abs(max) || 1;
  min -= spread * MARGIN;
  max += spread * MARGIN;
  const x = (at: number): number => ((at - box.from) / (box.to - box.from || 1)) * box.width;
  const y = (value: number): number => box.height - ((value - min) / (max - min)) * box.height;
  const steps = points.slice(1).map((point, i) => point.at - (points[i]?.at ?? point.at)).filter((step) => step > 0);
  const gap = median(steps) * GAP_FACTOR;
  const lines: string[] = [];
  let path = "";
  let before: SparkPoint | undefined;
  const end = (): void => {
    // A reading that stands alone is a dash: a line of one point would not be seen.
    if (path !== "") lines.push(path.includes("L") ? path : `${path}m-3 0h6`);
    path = "";
  };
  for (const point of points) {
    const broken = before !== undefined && gap > 0 && point.at - before.at > gap;
    if (broken) end();
    path += `${path === "" ? "M" : "L"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    before = point;
  }
  end();
  return { lines, min, max, x, y };
}
