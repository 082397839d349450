// Where the devices are: columns of numbers, so that 50,000 of them are cheap to look through.

import type { DeviceStatus } from "../data/rows";

/** `GET /api/v1/map/points`. */
export interface MapPoints {
  as_of_seq: number;
  id: string[];
  /** Millionths of a degree, WGS84. */
  x: number[];
  y: number[];
  kind: string[];
  status: (DeviceStatus | "disabled")[];
  name: string[];
  site: (string | null)[];
  grid: (string | null)[];
  severity: (string | null)[];
  alarms: number[];
  without_location: number;
}

export type Project = (lon: number, lat: number) => { x: number; y: number };

const SLICE = 1_024;

export class Places {
  readonly ids: readonly string[];
  /** Pixels of the world at zoom 0. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly off: Uint8Array;
  readonly kind: readonly string[];
  readonly points: MapPoints;
  readonly #at = new Map<string, number>();

  private constructor(points: MapPoints) {
    const n = points.id.length;
    this.points = points;
    this.ids = points.id;
    this.kind = points.kind;
    this.x = new Float64Array(n);
    this.y = new Float64Array(n);
    this.off = new Uint8Array(n);
  }

  /** Yields between slices, so that fifty thousand places do not hold up the page. */
  static *steps(points: MapPoints, project: Project): Generator<void, Places> {
    const places = new Places(points);
    for (let i = 0; i < places.count; i += 1) {
      if (i % SLICE === SLICE - 1) yield;
      const at = project((points.x[i] ?? 0) / 1e6, (points.y[i] ?? 0) / 1e6);
      places.x[i] = at.x;
      places.y[i] = at.y;
      places.off[i] = isOff(points.status[i]) ? 1 : 0;
      places.#at.set(points.id[i] ?? "", i);
    }
    return places;
  }

  get count(): number {
    return this.ids.length;
  }

  at(id: string): number | undefined {
    return this.#at.get(id);
  }

  /** A device came into another status; true if that changes what is drawn. */
  status(id: string, status: DeviceStatus | "disabled"): boolean {
    const at = this.#at.get(id);
    if (at === undefined || this.points.status[at] === status) return false;
    this.points.status[at] = status;
    this.off[at] = isOff(status) ? 1 : 0;
    return true;
  }
}

export const isOff = (status: string | undefined): boolean => status !== "online";
