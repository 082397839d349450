import { expect, test } from "vitest";
import { mercator, metres, plate, roundLength } from "./projection";

test("the corners and the middle of the world stand where tiles have them", () => {
  expect(mercator.to(0, 0)).toEqual({ x: 128, y: 128 });
  expect(mercator.to(-180, 85.051_128_78).y).toBeCloseTo(0, 5);
  expect(mercator.to(180, -90).x).toBe(256);
  expect(plate.to(0, 0)).toEqual({ x: 256, y: 128 });
  expect(plate.to(-180, 90)).toEqual({ x: 0, y: 0 });
});

// By hand: at 60° Mercator's y is ln(tan 75°) = 1.316958 of a half circumference of pi.
test("Mercator stretches with latitude", () => {
  expect(mercator.to(0, 60).y).toBeCloseTo(128 - (1.316_958 / Math.PI) * 128, 4);
});

test("a place comes back from its pixels", () => {
  for (const by of [mercator, plate]) {
    const { x, y } = by.to(118.1, 24.48);
    const { lon, lat } = by.from(x, y);
    expect([lon, lat]).toEqual([expect.closeTo(118.1, 9), expect.closeTo(24.48, 9)]);
  }
});

test("a degree along the equator or a meridian is 111.195 km on a sphere of 6371 km", () => {
  expect(metres({ lon: 10, lat: 0 }, { lon: 11, lat: 0 })).toBeCloseTo(111_194.93, 1);
  expect(metres({ lon: 10, lat: 50 }, { lon: 10, lat: 51 })).toBeCloseTo(111_194.93, 1);
});

test("the bar of the scale has a round length", () => {
  expect([999, 500, 499, 47, 20, 1.4].map(roundLength)).toEqual([500, 500, 300, 30, 20, 1]);
});
