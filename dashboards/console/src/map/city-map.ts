// The map: a stage that moves and zooms, tiles if there are any, and two canvases that carry the picture. Loaded when a map is first shown.

import "./map.css";
import type { Severity } from "../data/rows";
import type { GridState, Mark } from "./abnormal";
import { ALONE_FROM_ZOOM, clusterSteps, inSlices, type Clusters, type Task } from "./cluster";
import { drawingOf, holds, type Drawing, type Style } from "./drawings";
import {
  coloursOf, paintDrawing, paintEach, paintFleet, paintGridLines, paintGridStates, paintMarks, type Drawn, type View,
} from "./paint";
import { Places, type MapPoints } from "./places";
import { mercator, metres, plate, roundLength, type Projection } from "./projection";
import { Sheet } from "./sheet";
import { shiftTo } from "./shift";
import { Stage, type Point } from "./stage";
import { Tiles as TileLayer } from "./tiles";

export interface Tiles {
  url: string;
  crs?: "EPSG3857" | "EPSG4326";
  datum?: string;
  attribution?: string;
  approval_no?: string | null;
  subdomains?: string;
}

export interface Layers {
  abnormal: boolean;
  grid: boolean;
  fleet: boolean;
  heat: boolean;
  /** Drawings of the city by name; those that are not named are shown. */
  drawings: Readonly<Record<string, boolean>>;
}

export type Hit =
  | { kind: "mark"; mark: Mark }
  | { kind: "device"; id: string }
  | { kind: "grid"; code: string }
  | null;

export interface Told {
  hit: (hit: Hit) => void;
  hover: (hit: Hit, x: number, y: number) => void;
  /** Marks inside of a box that was drawn. */
  boxed: (marks: Mark[]) => void;
  /** The view changed, by hand or not. */
  moved: () => void;
  tilesFailed: () => void;
  measured: (metres: number) => void;
}

export interface Setup {
  center: [number, number] | null;
  zoom: number | null;
  tiles: Tiles | null;
  numeral: (severity: Severity) => string;
  /** A wall has no controls and does not react. */
  still?: boolean;
  /** How much larger the page shows the map than it was drawn: a wall is read from afar. */
  enlarged?: () => number;
}

/** Painted beyond the edge, so that dragging needs no new picture. */
const MARGIN = 0.3;
/** A new picture is begun when so much of the margin is left. */
const EARLY = 0.5;
const HIT_PX = 6;
const HOVER_MS = 300;
const TILES_TRIED = 6;
const FIT_EDGE_PX = 24;
const SCALE_PX = 100;

export class CityMap {
  readonly #stage: Stage;
  readonly #projection: Projection;
  readonly #scaleBar = document.createElement("div");
  /** The city: changes with the view only. */
  readonly #ground: Sheet;
  /** What lives in it. */
  readonly #life: Sheet;
  readonly #element: HTMLElement;
  readonly #told: Told;
  readonly #setup: Setup;
  readonly #shift: (lon: number, lat: number) => [number, number];
  #tiles: TileLayer | null = null;
  #view: View = { scale: 1, left: 0, top: 0, width: 1, height: 1, zoom: 0 };
  #places: Places | null = null;
  #drawings: Drawing[] = [];
  #marks: readonly Mark[] = [];
  #grids: ReadonlyMap<string, GridState> = new Map();
  #layers: Layers = { abnormal: true, grid: true, fleet: true, heat: false, drawings: {} };
  #shown: (at: number) => boolean = () => true;
  #clusters = new Map<number, Clusters>();
  #task: Task | null = null;
  #placing: Task | null = null;
  #drawn: { view: View | null; items: Drawn[] } = { view: null, items: [] };
  #chosen: string | null = null;
  #picked: ReadonlySet<string> = new Set();
  #frame = 0;
  #due = { ground: false, life: false };
  #measure: { x: number; y: number; lon: number; lat: number }[] | null = null;
  #hover: ReturnType<typeof setTimeout> | undefined;
  readonly #stops: (() => void)[] = [];

  constructor(element: HTMLElement, setup: Setup, told: Told) {
    this.#told = told;
    this.#setup = setup;
    const tiles = setup.tiles;
    this.#shift = shiftTo(tiles?.datum);
    this.#projection = tiles?.crs === "EPSG4326" ? plate : mercator;
    const still = setup.still === true;
    this.#element = element;
    this.#stage = new Stage(element, { still, snap: still ? 0 : tiles === null ? 0.25 : 1 }, {
      moving: () => this.#follow(),
      moved: () => this.#reset(),
      click: (at) => this.#click(at),
      doubleClick: (at) => this.#stage.zoomBy(1, at),
    });
    if (tiles !== null) this.#base(tiles);
    const place = (canvas: HTMLCanvasElement, shown: View): void => this.#place(canvas, shown);
    this.#ground = new Sheet(this.#stage.pane, tiles === null, place, setup.enlarged);
    this.#life = new Sheet(this.#stage.pane, false, place, setup.enlarged);
    if (!still) {
      this.#scaleBar.className = "city-scale";
      element.appendChild(this.#scaleBar);
      this.#listen(element);
    }
    this.goTo(setup.center?.[0] ?? 0, setup.center?.[1] ?? 0, setup.zoom ?? 13);
  }

  readonly project = (lon: number, lat: number): Point => this.#projection.to(...this.#shift(lon, lat));

  get dragging(): boolean {
    return this.#stage.dragging;
  }

  get places(): Places | null {
    return this.#places;
  }

  #base({ url, subdomains }: Tiles): void {
    const pane = this.#stage.pane.appendChild(document.createElement("div"));
    let failed = 0;
    let loaded = 0;
    this.#tiles = new TileLayer(pane, { url, subdomains: subdomains || "abc", across: this.#projection.across }, (well) => {
      if (well) loaded += 1;
      else failed += 1;
      if (failed < TILES_TRIED || loaded > 0 || this.#tiles === null) return;
      this.#tiles.end();
      this.#tiles = null;
      this.#told.tilesFailed();
    });
  }

  /** Resolves when they are in place; never if newer ones come before. */
  setPlaces(points: MapPoints): Promise<void> {
    this.#placing?.cancel();
    return new Promise((done) => {
      this.#placing = inSlices(Places.steps(points, this.project), (places) => {
        this.#places = places;
        this.#forget();
        done();
      });
    });
  }

  setStatus(id: string, status: MapPoints["status"][number]): void {
    if (this.#places?.status(id, status)) this.#statusesChanged();
  }

  // Circles only count who is off: the counts are made anew after a pause, not with every event.
  #stale: ReturnType<typeof setTimeout> | undefined;
  #statusesChanged(): void {
    this.#stale ??= setTimeout(() => { this.#stale = undefined; this.#forget(); }, 1_000);
  }

  setShown(shown: (at: number) => boolean): void {
    this.#shown = shown;
    this.#forget();
  }

  #forget(): void {
    this.#task?.cancel();
    this.#task = null;
    // The old circles stay until the new ones are there.
    for (const zoom of this.#clusters.keys()) if (zoom !== this.#view.zoom) this.#clusters.delete(zoom);
    this.#gather(true);
  }

  #gather(again = false): void {
    const places = this.#places;
    const zoom = this.#view.zoom;
    if (places === null || zoom >= ALONE_FROM_ZOOM || !this.#layers.fleet) {
      this.#soon(false, true);
      return;
    }
    if (!again && this.#clusters.has(zoom)) return;
    this.#task?.cancel();
    this.#task = inSlices(clusterSteps(places, zoom, this.#shown), (found) => {
      this.#clusters.set(zoom, found);
      this.#task = null;
      this.#soon(false, true);
    });
  }

  addDrawing(name: string, style: Style, json: unknown): void {
    const order: Style[] = ["water", "boundary", "road", "site", "grid"];
    this.#drawings = [...this.#drawings.filter((drawing) => drawing.name !== name), drawingOf(name, style, json, this.project)]
      .sort((a, b) => order.indexOf(a.style) - order.indexOf(b.style));
    this.#soon(true, false);
    if (this.#setup.still && style === "grid") this.fit();
  }

  setLayers(layers: Layers): void {
    const fleet = layers.fleet && !this.#layers.fleet;
    this.#layers = layers;
    if (fleet) this.#gather();
    this.#soon(true, true);
  }

  setMarks(marks: readonly Mark[], grids: ReadonlyMap<string, GridState>): void {
    this.#marks = marks;
    this.#grids = grids;
    this.#soon(false, true);
  }

  choose(key: string | null, picked: ReadonlySet<string> = this.#picked): void {
    this.#chosen = key;
    this.#picked = picked;
    this.#soon(false, true);
  }

  /** Colours changed with day and night. */
  recolour(): void {
    this.#soon(true, true);
  }

  goTo(lon: number, lat: number, zoom?: number): void {
    const { x, y } = this.project(lon, lat);
    this.#stage.goTo(x, y, Math.max(this.#stage.view.zoom, zoom ?? 0));
  }

  goToMark(mark: Mark): void {
    this.#stage.goTo(mark.x, mark.y, this.#stage.view.zoom + (mark.group ? 1 : 0));
  }

  /** So that all that is known is in view. */
  fit(): void {
    let [west, east, north, south] = [Infinity, -Infinity, Infinity, -Infinity];
    const take = (left: number, right: number, top: number, bottom: number): void => {
      west = Math.min(west, left);
      east = Math.max(east, right);
      north = Math.min(north, top);
      south = Math.max(south, bottom);
    };
    const places = this.#places;
    places?.x.forEach((x, at) => { const y = places.y[at] ?? 0; take(x, x, y, y); });
    for (const { style, features } of this.#drawings) {
      if (style === "grid") for (const { rings } of features) for (const ring of rings) take(ring.west, ring.east, ring.north, ring.south);
    }
    if (west > east) return;
    this.#stage.fit({ x: west, y: north }, { x: east, y: south }, FIT_EDGE_PX);
  }

  zoomBy(by: number): void {
    this.#stage.zoomBy(by);
  }

  /** Whether a mark can be seen now. */
  inView(mark: Mark): boolean {
    const { scale, left, top, width, height } = this.#view;
    const x = mark.x * scale - left;
    const y = mark.y * scale - top;
    const mx = (width * MARGIN) / (1 + 2 * MARGIN);
    const my = (height * MARGIN) / (1 + 2 * MARGIN);
    return x >= mx && y >= my && x <= width - mx && y <= height - my;
  }

  /** Starts measuring; clicks add places. Null ends it. */
  measure(on: boolean): void {
    this.#measure = on ? [] : null;
    this.#soon(false, true);
  }

  #place(canvas: HTMLCanvasElement, shown: View): void {
    const scale = 2 ** this.#stage.view.zoom / shown.scale;
    const { originX, originY } = this.#stage.view;
    canvas.style.transform = `translate3d(${shown.left * scale - originX}px, ${shown.top * scale - originY}px, 0) scale(${scale})`;
  }

  #follow(): void {
    const at = this.#stage.view;
    this.#tiles?.show(at);
    const { left, top, width, height } = this.#view;
    const mx = at.width * MARGIN * (1 - EARLY);
    const my = at.height * MARGIN * (1 - EARLY);
    if (at.zoom !== this.#view.zoom || at.left - left < mx || at.top - top < my || left + width - at.left - at.width < mx || top + height - at.top - at.height < my) this.#reset();
  }

  #reset(): void {
    const at = this.#stage.view;
    const [x, y] = [Math.round(at.width * MARGIN), Math.round(at.height * MARGIN)];
    const before = this.#view;
    const next: View = { scale: 2 ** at.zoom, zoom: at.zoom, left: at.left - x, top: at.top - y, width: at.width + 2 * x, height: at.height + 2 * y };
    if (next.zoom === before.zoom && next.left === before.left && next.top === before.top && next.width === before.width && next.height === before.height) return;
    this.#view = next;
    this.#tiles?.show(at);
    this.#ground.settle();
    this.#life.settle();
    this.#measureScale();
    if (next.zoom !== before.zoom) this.#gather();
    this.#soon(true, true);
    this.#told.moved();
  }

  /** A round length, as long as it is in the middle of the window. */
  #measureScale(): void {
    const y = this.#stage.view.height / 2;
    const of = (x: number): { lon: number; lat: number } => {
      const at = this.#stage.world({ x, y });
      return this.#projection.from(at.x, at.y);
    };
    const most = metres(of(0), of(SCALE_PX));
    const round = roundLength(most);
    this.#scaleBar.textContent = round >= 1_000 ? `${round / 1_000} km` : `${round} m`;
    this.#scaleBar.style.width = `${(SCALE_PX * round) / most}px`;
  }

  #soon(ground: boolean, life: boolean): void {
    this.#due.ground ||= ground;
    this.#due.life ||= life;
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#paint(); });
  }

  #paint(): void {
    const colours = coloursOf(this.#element);
    const due = this.#due;
    const view = this.#view;
    this.#due = { ground: false, life: false };
    const self = this;
    if (due.ground) {
      this.#ground.paint(view, function* (ctx) {
        if (self.#tiles === null) {
          ctx.fillStyle = colours.ground;
          ctx.fillRect(0, 0, view.width, view.height);
        }
        for (const drawing of self.#drawings) {
          if (drawing.style === "grid") {
            if (self.#layers.grid || self.#layers.heat) yield* paintGridLines(ctx, view, drawing, colours);
          } else if (self.#layers.drawings[drawing.name] !== false) yield* paintDrawing(ctx, view, drawing, colours);
        }
      }, () => undefined);
    }
    if (!due.life) return;
    let drawn: Drawn[] = [];
    this.#life.paint(view, function* (ctx) {
      drawn = [];
      const { grid, heat, fleet, abnormal } = self.#layers;
      for (const drawing of self.#drawings) if (drawing.style === "grid" && (grid || heat)) yield* paintGridStates(ctx, view, drawing, self.#grids, colours, heat);
      const places = self.#places;
      const near = self.#near(view.zoom);
      if (places !== null && fleet && view.zoom >= ALONE_FROM_ZOOM) yield* paintEach(ctx, view, places, self.#shown, colours, drawn);
      else if (places !== null && fleet && near !== undefined) yield* paintFleet(ctx, view, near, places, colours, drawn);
      if (abnormal) yield* paintMarks(ctx, view, self.#marks, colours, self.#setup.numeral, self.#chosen, self.#picked);
      self.#paintMeasure(ctx, colours.focus);
    }, () => { this.#drawn = { view, items: drawn }; });
  }

  /** The circles of this zoom, or of the nearest while they are made. */
  #near(zoom: number): Clusters | undefined {
    return this.#clusters.get(zoom) ?? [...this.#clusters.values()].sort((a, b) => Math.abs(a.zoom - zoom) - Math.abs(b.zoom - zoom))[0];
  }

  #paintMeasure(ctx: CanvasRenderingContext2D, colour: string): void {
    if (this.#measure === null || this.#measure.length === 0) return;
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 2.5;
    ctx.beginPath();
    for (const at of this.#measure) ctx.lineTo(at.x * this.#view.scale - this.#view.left, at.y * this.#view.scale - this.#view.top);
    ctx.stroke();
    for (const at of this.#measure) ctx.fillRect(at.x * this.#view.scale - this.#view.left - 3, at.y * this.#view.scale - this.#view.top - 3, 6, 6);
  }

  #hitAt(x: number, y: number): Hit {
    const { scale, left, top } = this.#view;
    const px = x + this.#stage.view.left - left;
    const py = y + this.#stage.view.top - top;
    if (this.#layers.abnormal) {
      for (const mark of this.#marks) {
        if (Math.hypot(mark.x * scale - left - px, mark.y * scale - top - py) <= (mark.group ? 17 : 12) + HIT_PX) return { kind: "mark", mark };
      }
    }
    for (const drawn of this.#drawnNow()) {
      if (drawn.count === 1 && Math.hypot(drawn.x - px, drawn.y - py) <= drawn.r + HIT_PX) return { kind: "device", id: this.#places?.ids[drawn.at] ?? "" };
    }
    if (!this.#layers.grid && !this.#layers.heat) return null;
    const wx = (px + left) / scale;
    const wy = (py + top) / scale;
    const grid = this.#drawings.find((drawing) => drawing.style === "grid")?.features.find((feature) => holds(feature, wx, wy));
    return grid === undefined ? null : { kind: "grid", code: grid.code };
  }

  /** What was drawn, unless the view has changed since. */
  #drawnNow(): readonly Drawn[] {
    return this.#drawn.view === this.#view ? this.#drawn.items : [];
  }

  #clusterAt(x: number, y: number): boolean {
    const px = x + this.#stage.view.left - this.#view.left;
    const py = y + this.#stage.view.top - this.#view.top;
    return this.#drawnNow().some((drawn) => drawn.count > 1 && Math.hypot(drawn.x - px, drawn.y - py) <= drawn.r);
  }

  #click(at: Point): void {
    if (this.#measure !== null) {
      this.#addMeasured(this.#stage.world(at));
      return;
    }
    const hit = this.#hitAt(at.x, at.y);
    if ((hit === null || hit.kind === "grid") && this.#clusterAt(at.x, at.y)) this.#stage.zoomBy(2, at);
    else this.#told.hit(hit);
  }

  #listen(element: HTMLElement): void {
    element.addEventListener("mousemove", (event) => {
      clearTimeout(this.#hover);
      const { x, y } = this.#stage.at(event);
      this.#told.hover(null, x, y);
      this.#hover = setTimeout(() => { if (!this.dragging) this.#told.hover(this.#hitAt(x, y), x, y); }, HOVER_MS);
    });
    element.addEventListener("mouseleave", () => { clearTimeout(this.#hover); this.#told.hover(null, 0, 0); });
    this.#boxes(element);
  }

  #addMeasured({ x, y }: Point): void {
    if (this.#measure === null) return;
    this.#measure.push({ x, y, ...this.#projection.from(x, y) });
    let length = 0;
    this.#measure.forEach((now, i) => {
      const before = this.#measure?.[i - 1];
      if (before !== undefined) length += metres(before, now);
    });
    this.#told.measured(length);
    this.#soon(false, true);
  }

  /** Shift and drag draws a box that selects the marks in it. */
  #boxes(element: HTMLElement): void {
    let from: { x: number; y: number } | null = null;
    const box = document.createElement("div");
    box.className = "city-box";
    const down = (event: PointerEvent): void => {
      if (!event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      const rect = element.getBoundingClientRect();
      from = { x: event.clientX - rect.left, y: event.clientY - rect.top };
      element.appendChild(box);
      box.style.width = "0";
      element.setPointerCapture(event.pointerId);
    };
    const span = (event: PointerEvent): { left: number; top: number; right: number; bottom: number } => {
      const rect = element.getBoundingClientRect();
      const x = event.clientX - rect.left;
      const y = event.clientY - rect.top;
      return { left: Math.min(x, from?.x ?? x), right: Math.max(x, from?.x ?? x), top: Math.min(y, from?.y ?? y), bottom: Math.max(y, from?.y ?? y) };
    };
    const move = (event: PointerEvent): void => {
      if (from === null) return;
      const at = span(event);
      Object.assign(box.style, { left: `${at.left}px`, top: `${at.top}px`, width: `${at.right - at.left}px`, height: `${at.bottom - at.top}px` });
    };
    const up = (event: PointerEvent): void => {
      if (from === null) return;
      const at = span(event);
      from = null;
      box.remove();
      const { left, top } = this.#stage.view;
      const { scale } = this.#view;
      const boxed = this.#marks.filter((mark) => {
        const x = mark.x * scale - left;
        const y = mark.y * scale - top;
        return x >= at.left && x <= at.right && y >= at.top && y <= at.bottom;
      });
      if (at.right - at.left > 5) this.#told.boxed(boxed);
    };
    element.addEventListener("pointerdown", down, true);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    this.#stops.push(() => {
      element.removeEventListener("pointerdown", down, true);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
    });
  }

  end(): void {
    this.#task?.cancel();
    this.#placing?.cancel();
    clearTimeout(this.#hover);
    clearTimeout(this.#stale);
    cancelAnimationFrame(this.#frame);
    this.#ground.end();
    this.#life.end();
    for (const stop of this.#stops) stop();
    this.#tiles?.end();
    this.#stage.end();
  }
}
