// The city's own drawings: GeoJSON turned into lines of world pixels once, with boxes, so that only what is in view is drawn.

import type { Project } from "./places";

export interface Ring {
  /** x, y, x, y, … in pixels of the world at zoom 0. */
  at: Float64Array;
  west: number;
  north: number;
  east: number;
  south: number;
  closed: boolean;
}

export interface Feature {
  rings: Ring[];
  name: string;
  code: string;
  wide: boolean;
}

export type Style = "road" | "water" | "boundary" | "grid" | "site";

export interface Drawing {
  name: string;
  style: Style;
  features: Feature[];
}

interface Geometry { type: string; coordinates?: unknown; geometries?: Geometry[] }
type Pair = [number, number];

function ringOf(line: unknown, closed: boolean, project: Project): Ring | null {
  if (!Array.isArray(line) || line.length < 2) return null;
  const ring: Ring = { at: new Float64Array(line.length * 2), west: Infinity, north: Infinity, east: -Infinity, south: -Infinity, closed };
  (line as Pair[]).forEach(([lon, lat], i) => {
    const { x, y } = project(lon, lat);
    ring.at[i * 2] = x;
    ring.at[i * 2 + 1] = y;
    ring.west = Math.min(ring.west, x);
    ring.east = Math.max(ring.east, x);
    ring.north = Math.min(ring.north, y);
    ring.south = Math.max(ring.south, y);
  });
  return ring;
}

function ringsOf(geometry: Geometry | null | undefined, project: Project): Ring[] {
  if (!geometry) return [];
  const lines = geometry.coordinates as unknown[] | undefined;
  const all = (list: unknown[] | undefined, closed: boolean): Ring[] => (list ?? []).map((line) => ringOf(line, closed, project)).filter((ring): ring is Ring => ring !== null);
  switch (geometry.type) {
    case "LineString": return all([lines], false);
    case "MultiLineString": return all(lines, false);
    case "Polygon": return all(lines, true);
    case "MultiPolygon": return (lines ?? []).flatMap((polygon) => all(polygon as unknown[], true));
    case "GeometryCollection": return (geometry.geometries ?? []).flatMap((part) => ringsOf(part, project));
    default: return [];
  }
}

export function drawingOf(name: string, style: Style, json: unknown, project: Project): Drawing {
  const collection = json as { type?: string; features?: { geometry?: Geometry; properties?: Record<string, unknown> | null }[] };
  const found = collection.features ?? [];
  const features = found.map(({ geometry, properties }) => ({
    rings: ringsOf(geometry, project),
    name: String(properties?.name ?? ""), code: String(properties?.code ?? ""), wide: properties?.class === "main" || properties?.class === "trunk",
  })).filter((feature) => feature.rings.length > 0);
  return { name, style, features };
}

/** Whether a place lies in a polygon (even-odd, so that holes are outside). */
export function holds(feature: Feature, x: number, y: number): boolean {
  let inside = false;
  for (const { at, closed } of feature.rings) {
    if (!closed) continue;
    for (let i = 0, j = at.length - 2; i < at.length; j = i, i += 2) {
      const xi = at[i] ?? 0;
      const yi = at[i + 1] ?? 0;
      const xj = at[j] ?? 0;
      const yj = at[j + 1] ?? 0;
      if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
  }
  return inside;
}
