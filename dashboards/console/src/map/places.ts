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

export class Places {
  readonly ids: readonly string[];
  /** Pixels of the world at zoom 0. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly off: Uint8Array;
  readonly kind: readonly string[];
  readonly points: MapPoints;
  readonly #at = new Map<string, number>();

  constructor(points: MapPoints, project: Project) {
    const n = points.id.length;
    this.points = points;
    this.ids = points.id;
    this.kind = points.kind;
    this.x = new Float64Array(n);
    this.y = new Float64Array(n);
    this.off = new Uint8Array(n);
    for (let i = 0; i < n; i += 1) {
      const at = project((points.x[i] ?? 0) / 1e6, (points.y[i] ?? 0) / 1e6);
      this.x[i] = at.x;
      this.y[i] = at.y;
      this.off[i] = isOff(points.status[i]) ? 1 : 0;
      this.#at.set(points.id[i] ?? "", i);
    }
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
