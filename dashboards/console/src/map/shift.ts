// Shifted coordinates of public tiles in China. Everything is kept in WGS84; only what is drawn over such tiles is shifted.

const AXIS_M = 6_378_245;
const ECCENTRICITY = 0.006_693_421_622_965_943;
const BD_TURN = (Math.PI * 3_000) / 180;

export type Datum = "wgs84" | "gcj02" | "bd09";
export type LonLat = [number, number];

const rad = (degrees: number): number => (degrees * Math.PI) / 180;

function waves(at: number, a: number, b: number): number {
  return ((20 * Math.sin(a * at * Math.PI) + 20 * Math.sin(b * at * Math.PI)) * 2) / 3;
}

function east(x: number, y: number): number {
  return 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x)) + waves(x, 6, 2)
    + ((20 * Math.sin(x * Math.PI) + 40 * Math.sin((x / 3) * Math.PI)) * 2) / 3
    + ((150 * Math.sin((x / 12) * Math.PI) + 300 * Math.sin((x / 30) * Math.PI)) * 2) / 3;
}

function north(x: number, y: number): number {
  return -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x)) + waves(x, 6, 2)
    + ((20 * Math.sin(y * Math.PI) + 40 * Math.sin((y / 3) * Math.PI)) * 2) / 3
    + ((160 * Math.sin((y / 12) * Math.PI) + 320 * Math.sin((y * Math.PI) / 30)) * 2) / 3;
}

const outside = (lon: number, lat: number): boolean => lon < 72.004 || lon > 137.8347 || lat < 0.8293 || lat > 55.8271;

export function gcj02(lon: number, lat: number): LonLat {
  if (outside(lon, lat)) return [lon, lat];
  const x = lon - 105;
  const y = lat - 35;
  const flat = 1 - ECCENTRICITY * Math.sin(rad(lat)) ** 2;
  const root = Math.sqrt(flat);
  return [
    lon + (east(x, y) * 180) / ((AXIS_M / root) * Math.cos(rad(lat)) * Math.PI),
    lat + (north(x, y) * 180) / (((AXIS_M * (1 - ECCENTRICITY)) / (flat * root)) * Math.PI),
  ];
}

export function bd09(lon: number, lat: number): LonLat {
  const [x, y] = gcj02(lon, lat);
  const z = Math.hypot(x, y) + 0.000_02 * Math.sin(y * BD_TURN);
  const theta = Math.atan2(y, x) + 0.000_003 * Math.cos(x * BD_TURN);
  return [z * Math.cos(theta) + 0.006_5, z * Math.sin(theta) + 0.006];
}

/** How a place is drawn over tiles of a datum. */
export function shiftTo(datum: string | undefined): (lon: number, lat: number) => LonLat {
  if (datum === "gcj02") return gcj02;
  if (datum === "bd09") return bd09;
  return (lon, lat) => [lon, lat];
}
