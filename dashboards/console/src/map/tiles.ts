// Pictures of a base map under the city: those in view at the nearest whole zoom, and no others.

import { TILE_PX } from "./projection";
import type { Window } from "./stage";

export interface TileSource {
  url: string;
  subdomains: string;
  /** Tiles side by side at zoom 0. */
  across: number;
}

/** The address of a tile; those beyond the date line are those of the other side. */
export function tileUrl(source: TileSource, x: number, y: number, zoom: number): string {
  const wide = source.across * 2 ** zoom;
  const column = ((x % wide) + wide) % wide;
  const values: Record<string, string | number> = {
    x: column, y, "-y": 2 ** zoom - 1 - y, z: zoom + source.across - 1, r: "", s: source.subdomains[(column + y) % source.subdomains.length] ?? "",
  };
  return source.url.replace(/\{([\w-]+)\}/g, (all, name: string) => String(values[name] ?? all));
}

export class Tiles {
  readonly #pane: HTMLElement;
  readonly #source: TileSource;
  readonly #told: (loaded: boolean) => void;
  readonly #shown = new Map<string, HTMLImageElement>();

  constructor(pane: HTMLElement, source: TileSource, told: (loaded: boolean) => void) {
    this.#pane = pane;
    this.#source = source;
    this.#told = told;
  }

  show(view: Window): void {
    const zoom = Math.round(view.zoom);
    const scale = 2 ** (view.zoom - zoom);
    const px = TILE_PX * scale;
    const due = new Set<string>();
    for (let y = Math.max(0, Math.floor(view.top / px)); y < Math.min(2 ** zoom, (view.top + view.height) / px); y += 1) {
      for (let x = Math.floor(view.left / px); x < (view.left + view.width) / px; x += 1) {
        const key = `${zoom} ${x} ${y}`;
        due.add(key);
        const image = this.#shown.get(key) ?? this.#load(key, tileUrl(this.#source, x, y, zoom));
        image.style.transform = `translate(${x * px - view.originX}px, ${y * px - view.originY}px) scale(${scale})`;
      }
    }
    for (const [key, image] of this.#shown) {
      if (due.has(key)) continue;
      image.remove();
      this.#shown.delete(key);
    }
  }

  #load(key: string, url: string): HTMLImageElement {
    const image = new Image(TILE_PX, TILE_PX);
    image.alt = "";
    image.className = "city-tile";
    image.onload = () => this.#told(true);
    image.onerror = () => { image.remove(); this.#told(false); };
    image.src = url;
    this.#shown.set(key, image);
    return this.#pane.appendChild(image);
  }

  end(): void {
    this.#pane.replaceChildren();
    this.#shown.clear();
  }
}
