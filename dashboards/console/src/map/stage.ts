// The window onto the world: moved by pointer, fingers, wheel and keys. It knows pixels only; what stands in it is drawn by others.

export interface Window {
  zoom: number;
  /** Pixels of the world at this zoom. */
  left: number;
  top: number;
  width: number;
  height: number;
  /** What stands in the panes is placed from here, so that numbers stay small. */
  originX: number;
  originY: number;
}

export interface Point { x: number; y: number }

export interface Heard {
  /** The window moved a little, and will move on. */
  moving: () => void;
  /** It stands. */
  moved: () => void;
  click: (at: Point) => void;
  doubleClick: (at: Point) => void;
}

const MIN_ZOOM = 3;
const MAX_ZOOM = 19;
const KEY_PX = 80;
/** A shorter way is a click. */
const DRAG_PX = 4;
const WHEEL_MS = 30;
const WHEEL_PX = 130;
const WHEEL_STEPS_MAX = 4;
/** What is left of the speed after a frame. */
const GLIDE = 0.92;
const GLIDE_FROM = 0.15;

const KEYS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage {
  readonly view: Window = { zoom: MIN_ZOOM, left: 0, top: 0, width: 1, height: 1, originX: 0, originY: 0 };
  readonly pane = document.createElement("div");
  dragging = false;
  readonly #element: HTMLElement;
  readonly #heard: Heard;
  readonly #snap: number;
  readonly #fingers = new Map<number, Point>();
  #way = 0;
  #speed = { x: 0, y: 0, at: 0 };
  #glide = 0;
  #wheel: { timer: ReturnType<typeof setTimeout>; px: number } | null = null;
  readonly #end = new AbortController();

  /** `snap`: it stands at multiples of this zoom, or at any with 0; `still`: nobody moves it. */
  constructor(element: HTMLElement, { still, snap }: { still: boolean; snap: number }, heard: Heard) {
    this.#element = element;
    this.#heard = heard;
    this.#snap = snap;
    this.pane.className = "city-pane";
    element.classList.add("city-stage");
    element.appendChild(this.pane);
    this.#measure();
    const watch = new ResizeObserver(() => {
      this.#measure();
      heard.moved();
    });
    watch.observe(element);
    this.#end.signal.addEventListener("abort", () => watch.disconnect());
    if (still) return;
    element.classList.add("city-moves");
    this.#on("pointerdown", (event) => this.#down(event));
    this.#on("pointermove", (event) => this.#move(event));
    this.#on("pointerup", (event) => this.#up(event));
    this.#on("pointercancel", (event) => this.#up(event));
    this.#on("wheel", (event) => this.#turn(event));
    this.#on("keydown", (event) => this.#key(event));
    this.#on("click", (event) => { if (this.#way < DRAG_PX) heard.click(this.at(event)); });
    this.#on("dblclick", (event) => heard.doubleClick(this.at(event)));
  }

  #on<K extends keyof HTMLElementEventMap>(name: K, run: (event: HTMLElementEventMap[K]) => void): void {
    this.#element.addEventListener(name, run, { signal: this.#end.signal, passive: false });
  }

  #measure(): void {
    this.view.width = Math.max(1, this.#element.clientWidth);
    this.view.height = Math.max(1, this.#element.clientHeight);
  }

  /** Where in the window something happened. */
  at(event: MouseEvent): Point {
    const box = this.#element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** A place of the window in pixels of the world at zoom 0. */
  world({ x, y }: Point): Point {
    const scale = 2 ** this.view.zoom;
    return { x: (this.view.left + x) / scale, y: (this.view.top + y) / scale };
  }

  #set(left: number, top: number, zoom: number): void {
    const { view } = this;
    view.left = Math.round(left);
    view.top = Math.round(top);
    if (zoom !== view.zoom) {
      view.zoom = zoom;
      view.originX = view.left;
      view.originY = view.top;
    }
    this.pane.style.transform = `translate3d(${view.originX - view.left}px, ${view.originY - view.top}px, 0)`;
  }

  #snapped(zoom: number, round = Math.round): number {
    return this.#snap === 0 ? zoom : round(zoom / this.#snap) * this.#snap;
  }

  /** A place of the world, in pixels at zoom 0, comes to the middle. */
  goTo(x: number, y: number, zoom = this.view.zoom): void {
    this.#rest();
    const to = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.#snapped(zoom)));
    this.#set(x * 2 ** to - this.view.width / 2, y * 2 ** to - this.view.height / 2, to);
    this.#heard.moved();
  }

  /** A box of the world fits into the window. */
  fit(from: Point, to: Point, edgePx: number): void {
    const { width, height } = this.view;
    const zoom = Math.log2(Math.min((width - 2 * edgePx) / (to.x - from.x), (height - 2 * edgePx) / (to.y - from.y)));
    const most = Number.isFinite(zoom) ? Math.min(zoom, MAX_ZOOM) : MAX_ZOOM;
    this.goTo((from.x + to.x) / 2, (from.y + to.y) / 2, this.#snapped(most, Math.floor));
  }

  /** Nearer or farther; what is at a place of the window stays there. */
  zoomBy(by: number, around: Point = { x: this.view.width / 2, y: this.view.height / 2 }): void {
    this.#rest();
    this.#zoomTo(this.view.zoom + by, around);
    this.#heard.moved();
  }

  #zoomTo(zoom: number, around: Point): void {
    const to = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
    const { x, y } = this.world(around);
    this.#set(x * 2 ** to - around.x, y * 2 ** to - around.y, to);
  }

  #shift(x: number, y: number): void {
    this.#set(this.view.left + x, this.view.top + y, this.view.zoom);
    this.#heard.moving();
  }

  /** Ends what still glides. */
  #rest(): void {
    cancelAnimationFrame(this.#glide);
    this.#speed = { x: 0, y: 0, at: 0 };
  }

  #down(event: PointerEvent): void {
    // With shift a box is drawn instead.
    if (event.button !== 0 || event.shiftKey) return;
    this.#rest();
    if (this.#fingers.size === 0) this.#way = 0;
    this.#fingers.set(event.pointerId, this.at(event));
  }

  #move(event: PointerEvent): void {
    const before = this.#fingers.get(event.pointerId);
    if (before === undefined) return;
    const now = this.at(event);
    const [x, y] = [before.x - now.x, before.y - now.y];
    this.#way += Math.abs(x) + Math.abs(y);
    if (!this.dragging) {
      if (this.#way < DRAG_PX) return;
      this.dragging = true;
      // A pointer of a script cannot be captured.
      if (event.isTrusted) this.#element.setPointerCapture(event.pointerId);
    }
    const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.#fingers.set(event.pointerId, now);
    if (other === undefined) {
      const pause = Math.max(1, event.timeStamp - this.#speed.at);
      this.#speed = { x: x / pause, y: y / pause, at: event.timeStamp };
      this.#shift(x, y);
      return;
    }
    const far = (one: Point): number => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
    this.#zoomTo(this.view.zoom + Math.log2(far(now) / far(before)), { x: (before.x + other.x) / 2, y: (before.y + other.y) / 2 });
    this.#shift(x / 2, y / 2);
  }

  #up(event: PointerEvent): void {
    if (!this.#fingers.delete(event.pointerId) || !this.dragging || this.#fingers.size > 0) return;
    this.dragging = false;
    const { zoom } = this.view;
    const { x, y, at } = this.#speed;
    const stands = this.#snapped(zoom);
    if (zoom !== stands) this.zoomBy(stands - zoom, this.at(event));
    else if (Math.hypot(x, y) > GLIDE_FROM && event.timeStamp - at < 60) this.#glideOn(x * 16, y * 16);
    else this.#heard.moved();
  }

  #glideOn(x: number, y: number): void {
    if (Math.hypot(x, y) < 1) {
      this.#heard.moved();
      return;
    }
    this.#shift(x, y);
    this.#glide = requestAnimationFrame(() => this.#glideOn(x * GLIDE, y * GLIDE));
  }

  #turn(event: WheelEvent): void {
    event.preventDefault();
    event.stopPropagation();
    const at = this.at(event);
    if (this.#wheel !== null) clearTimeout(this.#wheel.timer);
    const px = (this.#wheel?.px ?? 0) + event.deltaY * (event.deltaMode === 1 ? 20 : 1);
    const timer = setTimeout(() => {
      this.#wheel = null;
      this.zoomBy(-Math.sign(px) * Math.min(WHEEL_STEPS_MAX, this.#snapped(Math.abs(px) / WHEEL_PX, Math.ceil)), at);
    }, WHEEL_MS);
    this.#wheel = { timer, px };
  }

  #key(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const way = KEYS[event.key];
    const by = event.shiftKey ? 3 : 1;
    if (way !== undefined) {
      this.#rest();
      this.#shift(way[0] * KEY_PX * by, way[1] * KEY_PX * by);
      this.#heard.moved();
    } else if (/^[-+=_]$/.test(event.key)) this.zoomBy(/[-_]/.test(event.key) ? -by : by);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  end(): void {
    this.#rest();
    if (this.#wheel !== null) clearTimeout(this.#wheel.timer);
    this.#end.abort();
    this.#element.replaceChildren();
  }
}
