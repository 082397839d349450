// From longitude and latitude to pixels of the world at zoom 0, and back.

export interface Projection {
  to: (lon: number, lat: number) => { x: number; y: number };
  from: (x: number, y: number) => { lon: number; lat: number };
  /** Tiles side by side at zoom 0. */
  across: number;
}

export const TILE_PX = 256;
const LAT_MAX = 85.051_128_78;
const EARTH_M = 6_371_000;
const rad = (degrees: number): number => (degrees * Math.PI) / 180;

/** Spherical Mercator, EPSG 3857. */
export const mercator: Projection = {
  to: (lon, lat) => {
    const sine = Math.sin(rad(Math.max(-LAT_MAX, Math.min(LAT_MAX, lat))));
    return { x: TILE_PX * (lon / 360 + 0.5), y: TILE_PX * (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) };
  },
  from: (x, y) => ({ lon: (x / TILE_PX - 0.5) * 360, lat: (Math.atan(Math.sinh((0.5 - y / TILE_PX) * 2 * Math.PI)) * 180) / Math.PI }),
  across: 1,
};

/** Latitude and longitude as they are, EPSG 4326 and 4490: two squares side by side. */
export const plate: Projection = {
  to: (lon, lat) => ({ x: TILE_PX * (lon / 180 + 1), y: TILE_PX * (0.5 - lat / 180) }),
  from: (x, y) => ({ lon: (x / TILE_PX - 1) * 180, lat: (0.5 - y / TILE_PX) * 180 }),
  across: 2,
};

/** Along the surface of the earth. */
export function metres(a: { lon: number; lat: number }, b: { lon: number; lat: number }): number {
  const half = Math.sin(rad(b.lat - a.lat) / 2) ** 2 + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(rad(b.lon - a.lon) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(half));
}

/** The greatest round length that is not longer: 1, 2, 3 or 5 of a power of ten. */
export function roundLength(most: number): number {
  const ten = 10 ** Math.floor(Math.log10(most));
  return ([5, 3, 2].find((part) => part * ten <= most) ?? 1) * ten;
}
