// The drawing itself: a line or a band over time on a canvas, with axes, limits, marks, grey bands and hollow points, and what the pointer
// does on a second canvas above it. Of a library for charts we would use little more than the polyline.

import { labelsOf, marksOf, valuesOf } from "./axis";
import type { Limit } from "./limits";
import { alone, isBad, number, rangeOf, type Columns, type Doubtful } from "./points";

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
const [TOP, RIGHT, BOTTOM, LEFT] = [8, 12, 34, 52];
/** Room that a mark of an axis needs. */
const [TIME_PX, VALUE_PX] = [90, 30];
/** A shorter drag is a click. */
const DRAG_PX = 6;
const DPR_MAX = 3;

function layer(element: HTMLElement): { canvas: HTMLCanvasElement; ctx: CanvasRenderingContext2D } {
  const canvas = element.appendChild(document.createElement("canvas"));
  const ctx = canvas.getContext("2d");
  if (ctx === null) throw new Error("this browser has no canvas");
  return { canvas, ctx };
}

export function draw(element: HTMLElement, first: Scene, told: Told): Drawing {
  const below = layer(element);
  const above = layer(element);
  const { ctx } = below;
  let scene = first;
  let colours = coloursOf(element);
  let [width, height] = [element.clientWidth || 300, element.clientHeight || 180];
  let [low, high] = [0, 1];
  let right = 0;
  let bottom = 0;
  let frame = 0;
  let dpr = 1;
  /** Where the pointer is, and where it went down. */
  let pointer: number | null = null;
  let down: number | null = null;

  const x = (at: number): number => LEFT + ((at - scene.fromMs) / (scene.toMs - scene.fromMs)) * (right - LEFT);
  const y = (value: number): number => TOP + ((high - value) / (high - low)) * (bottom - TOP);
  const timeAt = (px: number): number => scene.fromMs + ((px - LEFT) / (right - LEFT)) * (scene.toMs - scene.fromMs);
  const inside = (px: number): boolean => px >= LEFT && px <= right;

  function stroke(...path: number[]): void {
    ctx.beginPath();
    for (let i = 0; i < path.length; i += 2) ctx.lineTo(path[i] ?? 0, path[i + 1] ?? 0);
    ctx.stroke();
  }

  function axes(): void {
    const values = valuesOf(low, high, Math.max(1, Math.floor((bottom - TOP) / VALUE_PX)));
    const times = marksOf(scene.fromMs, scene.toMs, Math.max(2, Math.floor(width / TIME_PX)), scene.timeZone);
    const labels = labelsOf(times, scene.timeZone);
    ctx.strokeStyle = colours.line;
    ctx.fillStyle = colours.muted;
    ctx.lineWidth = 1;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (const value of values) {
      const at = Math.round(y(value)) + 0.5;
      stroke(LEFT, at, right, at);
      ctx.fillText(number(value, (values[values.length - 1] ?? 1) - (values[0] ?? 0)), LEFT - 4, at);
    }
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    times.forEach((time, i) => {
      const at = Math.round(x(time)) + 0.5;
      stroke(at, TOP, at, bottom + 4);
      (labels[i] ?? "").split("\n").forEach((text, row) => ctx.fillText(text, Math.min(at, width - 18), bottom + 7 + row * 13));
    });
  }

  function shades(): void {
    ctx.fillStyle = colours.line;
    ctx.globalAlpha = 0.6;
    for (const shade of scene.shades) ctx.fillRect(x(shade.from), TOP, x(shade.to) - x(shade.from), bottom - TOP);
    ctx.globalAlpha = 1;
  }

  /** One line through all readings; what falls into one pixel becomes its least and greatest. */
  function line(seconds: readonly number[], values: readonly (number | null)[], acrossGaps: boolean): void {
    let [column, least, greatest, last] = [NaN, 0, 0, 0];
    const finish = (): void => {
      if (least !== greatest) for (const at of [least, greatest, last]) ctx.lineTo(column, at);
    };
    ctx.beginPath();
    seconds.forEach((second, i) => {
      const value = values[i] ?? null;
      if (value === null) {
        if (acrossGaps) return;
        finish();
        [column, least, greatest] = [NaN, 0, 0];
        return;
      }
      const at = Math.round(x(second * 1_000) * dpr) / dpr;
      last = y(value);
      if (at === column) {
        least = Math.min(least, last);
        greatest = Math.max(greatest, last);
        return;
      }
      finish();
      ctx.lineTo(at, last);
      column = at;
      least = greatest = last;
    });
    finish();
    ctx.stroke();
  }

  function band({ x: seconds, low: lows, high: highs }: Columns): void {
    ctx.fillStyle = colours.line;
    ctx.beginPath();
    for (let from = 0, to = 0; to <= seconds.length; to += 1) {
      if (to < seconds.length && lows[to] !== null) continue;
      for (let i = from; i < to; i += 1) ctx[i === from ? "moveTo" : "lineTo"](x((seconds[i] ?? 0) * 1_000), y(highs[i] ?? 0));
      for (let i = to - 1; i >= from; i -= 1) ctx.lineTo(x((seconds[i] ?? 0) * 1_000), y(lows[i] ?? 0));
      from = to + 1;
    }
    ctx.fill();
  }

  function lines(): void {
    const { columns, other } = scene;
    ctx.lineJoin = "bevel";
    if (other !== null) {
      ctx.strokeStyle = colours.muted;
      ctx.setLineDash([4, 3]);
      line(other.x, other.high, true);
      ctx.setLineDash([]);
    }
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = 1.25;
    if (columns.low !== columns.high) {
      band(columns);
      line(columns.x, columns.high, false);
    }
    line(columns.x, columns.low, false);
    // A reading alone is no line.
    ctx.fillStyle = colours.text;
    for (const i of alone(columns.low)) disc(x((columns.x[i] ?? 0) * 1_000), y(columns.low[i] ?? 0), 2);
  }

  function limits(): void {
    ctx.textAlign = "left";
    ctx.lineWidth = 1.5;
    ctx.fillStyle = colours.text;
    let labelAt = -Infinity;
    for (const limit of scene.limits) {
      const at = Math.round(y(limit.value));
      const from = limit.from === null ? LEFT : Math.max(LEFT, x(limit.from));
      const to = limit.to === null ? right : Math.min(right, x(limit.to));
      if (at < TOP || at > bottom || to <= from) continue;
      ctx.setLineDash(limit.severity === "critical" || limit.severity === "major" ? [7, 4] : [2, 4]);
      stroke(from, at, to, at);
      if (Math.abs(at - labelAt) < 13) continue;
      labelAt = at;
      const over = at - TOP > 16;
      ctx.textBaseline = over ? "bottom" : "top";
      ctx.fillText(scene.numeral(limit), from + 5, at + (over ? -2 : 3));
    }
    ctx.setLineDash([]);
  }

  function disc(px: number, py: number, r: number): void {
    ctx.beginPath();
    ctx.arc(px, py, r, 0, Math.PI * 2);
    ctx.fill();
    ctx.stroke();
  }

  function doubtful(): void {
    const r = 3.5;
    ctx.fillStyle = colours.panel;
    for (const point of scene.doubtful) {
      const px = x(point.at);
      if (!inside(px)) continue;
      const py = Math.min(bottom - 4, Math.max(TOP + 4, y(point.value)));
      disc(px, py, r);
      if (isBad(point.quality)) stroke(px - r, py + r, px + r, py - r);
    }
  }

  function marks(): void {
    const r = MARK_PX;
    const at = TOP + r + 2;
    for (const mark of scene.marks) {
      const px = x(mark.at);
      if (!inside(px)) continue;
      ctx.setLineDash([1, 3]);
      stroke(px, at + r, px, bottom);
      ctx.setLineDash([]);
      ctx.fillStyle = mark.kind === "raised" ? colours.text : colours.panel;
      if (mark.kind === "raised") {
        stroke(px, at - r, px + r, at + r, px - r, at + r);
        ctx.fill();
      } else if (mark.kind === "acked") stroke(px - r, at, px - r / 4, at + r * 0.8, px + r, at - r);
      else if (mark.kind === "cleared") disc(px, at, r * 0.85);
      else ctx.strokeRect(px - r * 0.7, at - r * 0.7, r * 1.4, r * 1.4);
    }
  }

  /** The reading nearest to a place. */
  function nearest(px: number): number | null {
    let [found, least]: [number | null, number] = [null, Infinity];
    scene.columns.x.forEach((second, i) => {
      const far = Math.abs(second * 1_000 - timeAt(px));
      if (far < least && scene.columns.low[i] !== null) [found, least] = [i, far];
    });
    return found;
  }

  function point(): void {
    const { columns } = scene;
    const at = pointer === null ? null : nearest(pointer);
    const time = at === null ? null : (columns.x[at] ?? 0) * 1_000;
    const values = at === null ? [] : [columns.low[at] ?? null, columns.high[at] ?? null];
    told.hover(time, values[0] ?? null, values[1] ?? null);
    const over = above.ctx;
    over.clearRect(0, 0, width, height);
    if (pointer === null) return;
    if (down !== null) {
      over.globalAlpha = 0.15;
      over.fillStyle = colours.text;
      over.fillRect(down, TOP, pointer - down, bottom - TOP);
      over.globalAlpha = 1;
    }
    if (time === null || !inside(x(time))) return;
    over.fillStyle = colours.muted;
    over.fillRect(Math.round(x(time)), TOP, 1, bottom - TOP);
    over.fillStyle = colours.panel;
    over.strokeStyle = colours.text;
    over.lineWidth = 1.5;
    for (const value of values) {
      over.beginPath();
      over.arc(x(time), y(value ?? 0), 3.5, 0, Math.PI * 2);
      over.fill();
      over.stroke();
    }
  }

  function paint(): void {
    dpr = Math.min(DPR_MAX, window.devicePixelRatio || 1);
    for (const one of [below, above]) {
      one.canvas.width = Math.round(width * dpr);
      one.canvas.height = Math.round(height * dpr);
      one.ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    }
    right = width - RIGHT;
    bottom = height - BOTTOM;
    [low, high] = rangeOf(scene.least, scene.greatest, scene.limits.map((limit) => limit.value));
    ctx.font = FONT;
    axes();
    ctx.save();
    ctx.beginPath();
    ctx.rect(LEFT, TOP, right - LEFT, bottom - TOP);
    ctx.clip();
    shades();
    lines();
    ctx.restore();
    ctx.strokeStyle = colours.text;
    limits();
    doubtful();
    marks();
    if (pointer !== null) point();
  }

  const soon = (): void => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(paint);
  };

  function move(to: number | null): void {
    pointer = to === null ? null : Math.min(right, Math.max(LEFT, to));
    point();
  }
  function end(zoom: boolean): void {
    const [from, to] = [down, pointer];
    down = null;
    if (zoom && from !== null && to !== null && Math.abs(to - from) >= DRAG_PX) told.zoom(timeAt(Math.min(from, to)), timeAt(Math.max(from, to)));
    point();
  }
  const { canvas } = above;
  canvas.onpointermove = (event) => move(event.offsetX);
  canvas.onpointerdown = (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    move(event.offsetX);
    down = pointer;
  };
  canvas.onpointerup = () => end(true);
  canvas.onpointercancel = () => end(false);
  canvas.onpointerleave = () => { if (down === null) move(null); };
  canvas.ondblclick = () => told.back();

  paint();
  return {
    show(next) {
      scene = next;
      soon();
    },
    resize(wide, tall) {
      [width, height] = [wide, tall];
      soon();
    },
    recolour() {
      colours = coloursOf(element);
      soon();
    },
    end() {
      cancelAnimationFrame(frame);
      element.replaceChildren();
    },
  };
}
