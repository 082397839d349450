import { expect, test } from "vitest";
import { bd09, gcj02, shiftTo } from "./shift";

// Published: 120, 40 -> 120.005675684, 40.001304790.
test("the published example of GCJ-02 comes out", () => {
  const [lon, lat] = gcj02(120, 40);
  expect(lon).toBeCloseTo(120.005675684, 8);
  expect(lat).toBeCloseTo(40.00130479, 8);
});

// Published by the library gcoord: 116.403988, 39.914266 -> 116.41661560068297, 39.92196580126834.
test("the published example of BD-09 comes out", () => {
  const [lon, lat] = bd09(116.403988, 39.914266);
  expect(lon).toBeCloseTo(116.41661560068297, 9);
  expect(lat).toBeCloseTo(39.92196580126834, 9);
});

test("Xiamen is shifted by 583 m", () => {
  const [lon, lat] = gcj02(118.0894, 24.4798);
  const metres = Math.hypot((lon - 118.0894) * 111_320 * Math.cos((24.48 * Math.PI) / 180), (lat - 24.4798) * 111_320);
  expect(metres).toBeGreaterThan(570);
  expect(metres).toBeLessThan(596);
});

test("places outside of China and tiles without a shift stay where they are", () => {
  expect(gcj02(2.35, 48.86)).toEqual([2.35, 48.86]);
  expect(shiftTo("wgs84")(118, 24)).toEqual([118, 24]);
  expect(shiftTo(undefined)(118, 24)).toEqual([118, 24]);
});
