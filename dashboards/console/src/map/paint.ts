// What is painted: the city below, the fleet in grey, what is abnormal above. Pure drawing; who calls decides when.

import type { Severity } from "../data/rows";
import type { GridState, Mark } from "./abnormal";
import type { Clusters } from "./cluster";
import type { Drawing, Ring } from "./drawings";
import type { Places } from "./places";
import { shapeOf, trace } from "./shapes";

/** Pixels of the canvas = pixels of the world at zoom 0 × scale − origin. */
export interface View {
  scale: number;
  left: number;
  top: number;
  width: number;
  height: number;
  zoom: number;
}

export interface Colours {
  ground: string;
  text: string;
  muted: string;
  line: string;
  soft: string;
  panel: string;
  sunken: string;
  water: string;
  heat: string;
  focus: string;
  severity: Record<Severity, string>;
  ink: Record<Severity, string>;
  edge: string;
}

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim() || "gray";
  return {
    ground: of("map-ground"), text: of("text"), muted: of("muted"), line: of("map-line"), soft: of("map-road"), panel: of("panel"), sunken: of("sunken"),
    water: of("map-water"), heat: of("heat"), focus: of("focus"), edge: of("chip-edge"),
    severity: { critical: of("critical"), major: of("major"), minor: of("minor"), warning: of("warning") },
    ink: { critical: of("critical-text"), major: of("major-text"), minor: of("minor-text"), warning: of("warning-text") },
  };
}

const FONT = "system-ui, sans-serif";

function follow(ctx: CanvasRenderingContext2D, view: View, ring: Ring): boolean {
  const { scale, left, top } = view;
  if (ring.east * scale - left < 0 || ring.west * scale - left > view.width || ring.south * scale - top < 0 || ring.north * scale - top > view.height) return false;
  const { at } = ring;
  for (let i = 0; i < at.length; i += 2) {
    const x = (at[i] ?? 0) * scale - left;
    const y = (at[i + 1] ?? 0) * scale - top;
    if (i === 0) ctx.moveTo(x, y);
    else ctx.lineTo(x, y);
  }
  if (ring.closed) ctx.closePath();
  return true;
}

/** Lines in one stroke: many, because each stroke costs; not all, because one huge path costs more. */
const BATCH = 40;

export function* paintDrawing(ctx: CanvasRenderingContext2D, view: View, drawing: Drawing, colours: Colours): Generator<void, void> {
  if (drawing.style === "grid") return;
  const lines = drawing.style === "road" || drawing.style === "boundary";
  for (const wide of [false, true]) {
    const features = drawing.features.filter((feature) => feature.wide === wide);
    const size = lines ? BATCH : 1;
    for (let from = 0; from < features.length; from += size) {
      ctx.beginPath();
      let any = false;
      for (const feature of features.slice(from, from + size)) for (const ring of feature.rings) any = follow(ctx, view, ring) || any;
      if (any) finish(ctx, view, drawing.style, wide, colours);
      if (any && (lines || from % BATCH === BATCH - 1)) yield;
    }
  }
  yield;
}

function finish(ctx: CanvasRenderingContext2D, view: View, style: Drawing["style"], wide: boolean, colours: Colours): void {
  ctx.lineWidth = 1;
  if (style === "water") {
    ctx.fillStyle = colours.water;
    ctx.fill("evenodd");
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = colours.water;
    ctx.stroke();
  } else if (style === "road") {
    ctx.lineWidth = Math.max(1, (wide ? 2.5 : 1.25) * 1.35 ** (view.zoom - 14));
    ctx.strokeStyle = colours.soft;
    ctx.stroke();
  } else if (style === "site") {
    ctx.fillStyle = colours.sunken;
    ctx.fill("evenodd");
    ctx.strokeStyle = colours.line;
    ctx.stroke();
  } else {
    ctx.lineWidth = 1.5;
    ctx.setLineDash([8, 4]);
    ctx.strokeStyle = colours.muted;
    ctx.globalAlpha = 0.6;
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.setLineDash([]);
  }
}

const hatches = new Map<string, CanvasPattern | null>();

function hatch(ctx: CanvasRenderingContext2D, colour: string): CanvasPattern | string {
  let found = hatches.get(colour);
  if (found === undefined) {
    const tile = document.createElement("canvas");
    tile.width = 8;
    tile.height = 8;
    const pen = tile.getContext("2d");
    if (pen !== null) {
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(-2, 6);
      pen.lineTo(6, -2);
      pen.moveTo(2, 10);
      pen.lineTo(10, 2);
      pen.stroke();
    }
    found = ctx.createPattern(tile, "repeat");
    hatches.set(colour, found);
  }
  return found ?? colour;
}

const LABEL_FROM_ZOOM = 14;
const HEAT_ALPHA = [0, 0.14, 0.28, 0.42, 0.58, 0.75];

/** Grids: grey lines, and their codes from a zoom on where there is room. */
export function* paintGridLines(ctx: CanvasRenderingContext2D, view: View, drawing: Drawing, colours: Colours): Generator<void, void> {
  ctx.lineWidth = 1;
  ctx.strokeStyle = colours.line;
  for (let from = 0; from < drawing.features.length; from += BATCH) {
    ctx.beginPath();
    for (const feature of drawing.features.slice(from, from + BATCH)) for (const ring of feature.rings) follow(ctx, view, ring);
    ctx.stroke();
    yield;
  }
  if (view.zoom < LABEL_FROM_ZOOM) return;
  ctx.font = `11px ${FONT}`;
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  ctx.fillStyle = colours.muted;
  for (const feature of drawing.features) {
    const ring = feature.rings[0];
    if (ring === undefined || feature.code === "") continue;
    const wide = (ring.east - ring.west) * view.scale;
    const x = ring.west * view.scale - view.left;
    const y = ring.north * view.scale - view.top;
    if (wide < 60 || x > view.width || y > view.height || x + wide < 0 || y < -20) continue;
    ctx.fillText(wide > 120 ? feature.code : `…${feature.code.slice(-6)}`, x + 4, y + 4);
  }
  yield;
}

/** Grids are hatched and outlined only while an alarm in them waits; or they carry the heat of the last ten minutes. */
export function* paintGridStates(
  ctx: CanvasRenderingContext2D, view: View, drawing: Drawing, states: ReadonlyMap<string, GridState>, colours: Colours, heat: boolean,
): Generator<void, void> {
  let n = 0;
  for (const feature of drawing.features) {
    const state = states.get(feature.code);
    if (state === undefined || (heat ? state.heat === 0 : state.severity === null)) continue;
    ctx.beginPath();
    let any = false;
    for (const ring of feature.rings) any = follow(ctx, view, ring) || any;
    if (!any) continue;
    if (heat) {
      ctx.globalAlpha = HEAT_ALPHA[state.heat] ?? 0;
      ctx.fillStyle = colours.heat;
      ctx.fill("evenodd");
      ctx.globalAlpha = 1;
    } else if (state.severity !== null) {
      if (state.active) {
        ctx.globalAlpha = 0.45;
        ctx.fillStyle = hatch(ctx, colours.severity[state.severity]);
        ctx.fill("evenodd");
        ctx.globalAlpha = 1;
      }
      ctx.lineWidth = state.active ? 2 : 1.25;
      ctx.strokeStyle = colours.severity[state.severity];
      ctx.stroke();
    }
    n += 1;
    if (n % 12 === 0) yield;
  }
  yield;
}

export interface Drawn {
  x: number;
  y: number;
  r: number;
  /** Index of the device, of a cluster of one or from the closest zooms on. */
  at: number;
  count: number;
}

function within(view: View, x: number, y: number, margin: number): boolean {
  return x > -margin && y > -margin && x < view.width + margin && y < view.height + margin;
}

/** The normal fleet: grey, circles with a number, hollow with a slash for who is off. */
export function* paintFleet(
  ctx: CanvasRenderingContext2D, view: View, clusters: Clusters, places: Places, colours: Colours, drawn: Drawn[],
): Generator<void, void> {
  for (let i = 0; i < clusters.length; i += 1) {
    const x = (clusters.x[i] ?? 0) * view.scale - view.left;
    const y = (clusters.y[i] ?? 0) * view.scale - view.top;
    if (!within(view, x, y, 30)) continue;
    if (drawn.length % 50 === 49) yield;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    const count = clusters.count[i] ?? 0;
    const at = clusters.first[i] ?? 0;
    if (count === 1) {
      paintDevice(ctx, x, y, shapeOf(places.kind[at] ?? ""), (places.off[at] ?? 0) === 1, colours);
      drawn.push({ x, y, r: 6, at, count });
      continue;
    }
    const r = 11 + Math.min(14, Math.log10(count) * 5);
    const off = clusters.off[i] ?? 0;
    ctx.beginPath();
    ctx.arc(x, y, r, 0, Math.PI * 2);
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = colours.panel;
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = colours.muted;
    ctx.stroke();
    if (off > 0) {
      // The share that is off, as a bare arc: grey, but not to be overlooked.
      ctx.beginPath();
      ctx.arc(x, y, r, -Math.PI / 2, -Math.PI / 2 + (off / count) * 2 * Math.PI);
      ctx.lineWidth = 3.5;
      ctx.strokeStyle = colours.text;
      ctx.stroke();
    }
    ctx.font = `${count > 9_999 ? 10 : 11}px ${FONT}`;
    ctx.fillStyle = colours.text;
    ctx.fillText(String(count), x, y + 0.5);
    drawn.push({ x, y, r, at, count });
  }
  yield;
}

/** Every device by itself. */
export function* paintEach(
  ctx: CanvasRenderingContext2D, view: View, places: Places, shown: (at: number) => boolean, colours: Colours, drawn: Drawn[],
): Generator<void, void> {
  for (let at = 0; at < places.count; at += 1) {
    const x = (places.x[at] ?? 0) * view.scale - view.left;
    const y = (places.y[at] ?? 0) * view.scale - view.top;
    if (!within(view, x, y, 10) || !shown(at)) continue;
    paintDevice(ctx, x, y, shapeOf(places.kind[at] ?? ""), (places.off[at] ?? 0) === 1, colours);
    drawn.push({ x, y, r: 6, at, count: 1 });
    if (drawn.length % 100 === 99) yield;
  }
  yield;
}

function paintDevice(ctx: CanvasRenderingContext2D, x: number, y: number, shape: ReturnType<typeof shapeOf>, off: boolean, colours: Colours): void {
  trace(ctx, shape, x, y, 5.5);
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = colours.muted;
  ctx.fillStyle = off ? colours.panel : colours.muted;
  ctx.fill();
  ctx.stroke();
  if (!off) return;
  ctx.beginPath();
  ctx.moveTo(x - 6, y + 6);
  ctx.lineTo(x + 6, y - 6);
  ctx.strokeStyle = colours.text;
  ctx.stroke();
}

/** What is abnormal: shape of its kind, colour of its severity, a number where there are more; hollow once acknowledged. */
export function* paintMarks(
  ctx: CanvasRenderingContext2D, view: View, marks: readonly Mark[], colours: Colours, numeral: (severity: Severity) => string, chosen: string | null, picked: ReadonlySet<string>,
): Generator<void, void> {
  // The worst is painted last, so that it lies on top.
  for (let i = marks.length - 1; i >= 0; i -= 1) {
    const mark = marks[i];
    if (mark === undefined) continue;
    const x = mark.x * view.scale - view.left;
    const y = mark.y * view.scale - view.top;
    if (!within(view, x, y, 40)) continue;
    if (i % 30 === 0) yield;
    const r = mark.group ? 17 : 11;
    if (mark.key === chosen || picked.has(mark.key)) {
      ctx.beginPath();
      ctx.arc(x, y, r + 6, 0, Math.PI * 2);
      ctx.lineWidth = 3;
      ctx.strokeStyle = colours.focus;
      ctx.stroke();
    }
    const filled = mark.unacked && mark.active;
    trace(ctx, mark.group ? "circle" : shapeOf(mark.kind), x, y, r);
    ctx.fillStyle = filled ? colours.severity[mark.severity] : colours.panel;
    ctx.fill();
    ctx.lineWidth = filled ? 1.75 : 2.5;
    ctx.strokeStyle = filled ? colours.edge : colours.severity[mark.severity];
    // What has recovered and waits for an acknowledgement is dashed, as in the list.
    if (mark.unacked && !mark.active) ctx.setLineDash([4, 2.5]);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.font = `bold ${mark.group ? 12 : 11}px ${FONT}`;
    ctx.fillStyle = filled ? colours.ink[mark.severity] : colours.text;
    ctx.fillText(mark.group ? String(mark.count) : numeral(mark.severity), x, y + (shapeOf(mark.kind) === "triangle" && !mark.group ? 2.5 : 0.5));
    if (mark.group || mark.count < 2) continue;
    ctx.font = `bold 10px ${FONT}`;
    const text = mark.count > 99 ? "99+" : String(mark.count);
    const half = ctx.measureText(text).width / 2 + 3;
    ctx.fillStyle = colours.text;
    ctx.fillRect(x + r - half + 2, y - r - 8, half * 2, 13);
    ctx.fillStyle = colours.panel;
    ctx.fillText(text, x + r + 2, y - r - 1);
  }
}
