// A picture larger than the window: painted on a hidden canvas a few milliseconds at a time, then shown in place of the old one.
// While it is painted, the old picture moves and scales along, so that dragging and zooming never wait for it.

import { inSlices, type Task } from "./cluster";
import type { View } from "./paint";

export type Painter = (ctx: CanvasRenderingContext2D, view: View) => Generator<void, void>;

const BUDGET_MS = 5;
const DPR_MAX = 2;

/** One slice a frame, so that what moves keeps moving. */
const nextFrame = (run: () => void): void => { requestAnimationFrame(() => run()); };

export class Sheet {
  /** Holds a finished bitmap: browsers copy such a one once, and a canvas that is drawn on with every frame. */
  readonly #front: HTMLCanvasElement;
  readonly #back: HTMLCanvasElement;
  readonly #opaque: boolean;
  /** Where the front picture belongs; null before the first. */
  #shown: View | null = null;
  #task: Task | null = null;
  #painting: View | null = null;
  #again: (() => void) | null = null;
  readonly #place: (canvas: HTMLCanvasElement, shown: View) => void;
  readonly #enlarged: () => number;

  constructor(pane: HTMLElement, opaque: boolean, place: (canvas: HTMLCanvasElement, shown: View) => void, enlarged = (): number => 1) {
    this.#enlarged = enlarged;
    this.#opaque = opaque;
    this.#place = place;
    this.#front = document.createElement("canvas");
    this.#front.className = "city-canvas";
    pane.appendChild(this.#front);
    this.#back = document.createElement("canvas");
  }

  /** Puts the picture that is shown where it belongs now. */
  settle(): void {
    if (this.#shown !== null) this.#place(this.#front, this.#shown);
  }

  paint(view: View, painter: Painter, done: () => void): void {
    // A picture of the same place is finished first, so that a stream of changes does not keep it from ever being shown.
    if (this.#task !== null && this.#painting === view) {
      this.#again = () => this.paint(view, painter, done);
      return;
    }
    this.#task?.cancel();
    this.#again = null;
    const ctx = this.#begin(view);
    if (ctx === null) return;
    this.#painting = view;
    const steps = this.#flushed(ctx, painter(ctx, view));
    const task = inSlices(steps, () => {
      void this.#swap(view).then(() => {
        if (this.#painting !== view) return;
        this.#task = null;
        this.#painting = null;
        done();
        const again = this.#again;
        this.#again = null;
        again?.();
      });
    }, BUDGET_MS, () => performance.now(), nextFrame);
    this.#task = task;
  }

  /** The browser paints late: reading one pixel makes it paint now, so that each slice bears its own cost. */
  * #flushed(ctx: CanvasRenderingContext2D, steps: Generator<void, void>): Generator<void, void> {
    for (;;) {
      const step = steps.next();
      ctx.getImageData(0, 0, 1, 1);
      if (step.done) return;
      yield;
    }
  }

  #begin(view: View): CanvasRenderingContext2D | null {
    const canvas = this.#back;
    const dpr = Math.min(DPR_MAX, window.devicePixelRatio || 1) * this.#enlarged();
    const width = Math.round(view.width * dpr);
    const height = Math.round(view.height * dpr);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const ctx = canvas.getContext("2d", { alpha: !this.#opaque, willReadFrequently: true });
    ctx?.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx?.clearRect(0, 0, view.width, view.height);
    return ctx;
  }

  async #swap(view: View): Promise<void> {
    const bitmap = await createImageBitmap(this.#back);
    // Another view was asked for meanwhile: its picture comes next.
    if (this.#painting !== view) {
      bitmap.close();
      return;
    }
    this.#front.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
    this.#front.style.width = `${view.width}px`;
    this.#front.style.height = `${view.height}px`;
    this.#shown = view;
    this.settle();
  }

  end(): void {
    this.#task?.cancel();
    this.#painting = null;
    this.#again = null;
  }
}
