// The drawing itself: uPlot with limits, marks, grey bands and hollow points. Loaded when the first chart is shown.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { labelsOf, marksOf } from "./axis";
import type { Limit } from "./limits";
import { isBad, number, rangeOf, type Columns, type Doubtful } from "./points";

export interface Mark {
  at: number;
  kind: "raised" | "acked" | "cleared" | "note";
  label: string;
}

export interface Shade {
  from: number;
  to: number;
  label: string;
}

export interface Scene {
  fromMs: number;
  toMs: number;
  columns: Columns;
  /** Another series for comparison, at the times of this one. */
  other: Columns | null;
  doubtful: readonly Doubtful[];
  limits: readonly Limit[];
  marks: readonly Mark[];
  shades: readonly Shade[];
  least: number | null;
  greatest: number | null;
  timeZone: string;
  numeral: (limit: Limit) => string;
}

export interface Told {
  zoom: (fromMs: number, toMs: number) => void;
  back: () => void;
  /** The reading under the pointer, or null. */
  hover: (at: number | null, low: number | null, high: number | null) => void;
}

export interface Drawing {
  show: (scene: Scene) => void;
  resize: (width: number, height: number) => void;
  /** Takes colours anew after day and night changed. */
  recolour: () => void;
  end: () => void;
}

interface Colours { text: string; muted: string; line: string; panel: string; focus: string; broken: string }

function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim() || "gray";
  return { text: of("text"), muted: of("muted"), line: of("line-soft"), panel: of("panel"), focus: of("focus"), broken: of("text") };
}

const FONT = "11px system-ui, sans-serif";
const MARK_PX = 5;

function tableOf(scene: Scene): uPlot.AlignedData {
  const other = scene.other;
  if (other === null) return [scene.columns.x, scene.columns.low, scene.columns.high, scene.columns.x.map(() => null)];
  return uPlot.join([
    [scene.columns.x, scene.columns.low, scene.columns.high], [other.x, other.high],
  ], [[1, 1, 1], [1, 1]]);
}

export function draw(element: HTMLElement, first: Scene, told: Told): Drawing {
  let scene = first;
  let colours = coloursOf(element);

  const shadesBelow = (plot: uPlot): void => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = colours.line;
    ctx.globalAlpha = 0.6;
    for (const shade of scene.shades) {
      const left = Math.max(bbox.left, plot.valToPos(shade.from / 1_000, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(shade.to / 1_000, "x", true));
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  };

  const limitsAbove = (plot: uPlot): void => {
    const { ctx, bbox } = plot;
    const dpr = uPlot.pxRatio;
    ctx.save();
    ctx.font = `${11 * dpr}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.lineWidth = 1.5 * dpr;
    ctx.strokeStyle = colours.text;
    ctx.fillStyle = colours.text;
    let labelAt = -Infinity;
    for (const limit of scene.limits) {
      const y = Math.round(plot.valToPos(limit.value, "y", true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      const left = limit.from === null ? bbox.left : Math.max(bbox.left, plot.valToPos(limit.from, "x", true));
      const right = limit.to === null ? bbox.left + bbox.width : Math.min(bbox.left + bbox.width, plot.valToPos(limit.to, "x", true));
      if (right <= left) continue;
      const serious = limit.severity === "critical" || limit.severity === "major";
      ctx.setLineDash((serious ? [7, 4] : [2, 4]).map((px) => px * dpr));
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(right, y);
      ctx.stroke();
      if (Math.abs(y - labelAt) < 13 * dpr) continue;
      labelAt = y;
      ctx.textBaseline = y - bbox.top > 16 * dpr ? "bottom" : "top";
      const text = scene.numeral(limit);
      ctx.fillText(text, left + 5 * dpr, y + (ctx.textBaseline === "bottom" ? -2 : 3) * dpr);
    }
    ctx.restore();
  };

  const pointsAbove = (plot: uPlot): void => {
    const { ctx, bbox } = plot;
    const dpr = uPlot.pxRatio;
    ctx.save();
    ctx.lineWidth = 1.5 * dpr;
    ctx.strokeStyle = colours.text;
    ctx.fillStyle = colours.panel;
    for (const point of scene.doubtful) {
      const x = plot.valToPos(point.at / 1_000, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const y = Math.min(bbox.top + bbox.height - 4 * dpr, Math.max(bbox.top + 4 * dpr, plot.valToPos(point.value, "y", true)));
      const r = 3.5 * dpr;
      ctx.beginPath();
      ctx.arc(x, y, r, 0, Math.PI * 2);
      ctx.fill();
      ctx.stroke();
      if (isBad(point.quality)) {
        ctx.beginPath();
        ctx.moveTo(x - r, y + r);
        ctx.lineTo(x + r, y - r);
        ctx.stroke();
      }
    }
    ctx.restore();
  };

  const marksAbove = (plot: uPlot): void => {
    const { ctx, bbox } = plot;
    const dpr = uPlot.pxRatio;
    const r = MARK_PX * dpr;
    const y = bbox.top + r + 2 * dpr;
    ctx.save();
    ctx.lineWidth = 1.5 * dpr;
    ctx.strokeStyle = colours.text;
    ctx.fillStyle = colours.text;
    for (const mark of scene.marks) {
      const x = plot.valToPos(mark.at / 1_000, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.setLineDash([1 * dpr, 3 * dpr]);
      ctx.beginPath();
      ctx.moveTo(x, y + r);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.beginPath();
      if (mark.kind === "raised") {
        ctx.moveTo(x, y - r);
        ctx.lineTo(x + r, y + r);
        ctx.lineTo(x - r, y + r);
        ctx.closePath();
        ctx.fill();
      } else if (mark.kind === "acked") {
        ctx.moveTo(x - r, y);
        ctx.lineTo(x - r / 4, y + r * 0.8);
        ctx.lineTo(x + r, y - r);
        ctx.stroke();
      } else if (mark.kind === "cleared") {
        ctx.arc(x, y, r * 0.85, 0, Math.PI * 2);
        ctx.fillStyle = colours.panel;
        ctx.fill();
        ctx.fillStyle = colours.text;
        ctx.stroke();
      } else {
        ctx.rect(x - r * 0.7, y - r * 0.7, r * 1.4, r * 1.4);
        ctx.stroke();
      }
    }
    ctx.restore();
  };

  const across = (): number => Math.max(2, Math.floor((plot?.width ?? element.clientWidth) / 90));
  let plot: uPlot | null = null;
  const thin = (): string => (scene.columns.low === scene.columns.high ? "transparent" : colours.text);
  const options: uPlot.Options = {
    width: element.clientWidth || 300,
    height: element.clientHeight || 180,
    legend: { show: false },
    padding: [8, 12, 0, 0],
    scales: {
      x: { time: false, range: () => [scene.fromMs / 1_000, scene.toMs / 1_000] },
      y: { range: () => rangeOf(scene.least, scene.greatest, scene.limits.map((limit) => limit.value)) },
    },
    series: [
      {},
      { stroke: () => colours.text, width: 1.25, points: { show: false } },
      { stroke: thin, width: 1.25, points: { show: false } },
      { stroke: () => colours.muted, width: 1, dash: [4, 3], points: { show: false }, spanGaps: true },
    ],
    bands: [{ series: [2, 1], fill: () => colours.line }],
    axes: [
      {
        stroke: () => colours.muted, font: FONT, size: 34, gap: 3, grid: { stroke: () => colours.line, width: 1 }, ticks: { stroke: () => colours.line, size: 4 },
        splits: () => marksOf(scene.fromMs, scene.toMs, across(), scene.timeZone).map((at) => at / 1_000),
        values: (_, splits) => labelsOf(splits.map((at) => Math.round(at * 1_000)), scene.timeZone),
      },
      {
        stroke: () => colours.muted, font: FONT, size: 52, gap: 4, grid: { stroke: () => colours.line, width: 1 }, ticks: { show: false },
        values: (_, splits) => splits.map((value) => number(value, (splits[splits.length - 1] ?? 1) - (splits[0] ?? 0))),
      },
    ],
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { size: 7, fill: () => colours.panel, stroke: () => colours.text, width: 1.5 },
      bind: { dblclick: () => () => { told.back(); return null; } },
    },
    hooks: {
      drawAxes: [shadesBelow],
      draw: [limitsAbove, pointsAbove, marksAbove],
      setSelect: [(self) => {
        if (self.select.width < 6) return;
        told.zoom(self.posToVal(self.select.left, "x") * 1_000, self.posToVal(self.select.left + self.select.width, "x") * 1_000);
        self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
      setCursor: [(self) => {
        const at = self.cursor.idx ?? null;
        const x = at === null ? null : (self.data[0][at] ?? null);
        told.hover(x === null ? null : x * 1_000, at === null ? null : (self.data[1]?.[at] ?? null), at === null ? null : (self.data[2]?.[at] ?? null));
      }],
    },
  };
  plot = new uPlot(options, tableOf(scene), element);
  const own = plot;
  return {
    show(next) {
      scene = next;
      own.setData(tableOf(scene));
    },
    resize: (width, height) => own.setSize({ width, height }),
    recolour() {
      colours = coloursOf(element);
      own.redraw(true, true);
    },
    end: () => own.destroy(),
  };
}
