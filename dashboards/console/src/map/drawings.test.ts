import { expect, test } from "vitest";
import { drawingOf, holds } from "./drawings";
import { cornersOf, shapeOf } from "./shapes";

const flat = (lon: number, lat: number): { x: number; y: number } => ({ x: lon, y: -lat });
const square = (from: number, to: number): [number, number][] => [[from, from], [to, from], [to, to], [from, to], [from, from]];

test("a polygon holds what is inside of it and not what is in its hole", () => {
  const { features } = drawingOf("g", "grid", { features: [{ geometry: { type: "Polygon", coordinates: [square(0, 10), square(4, 6)] }, properties: { code: "1" } }] }, flat);
  const feature = features[0];
  expect(feature).toBeDefined();
  if (feature === undefined) return;
  expect(feature.code).toBe("1");
  expect(holds(feature, 2, -2)).toBe(true);
  expect(holds(feature, 5, -5)).toBe(false);
  expect(holds(feature, 11, -2)).toBe(false);
});

test("points and what is broken are left out of drawings", () => {
  const { features } = drawingOf("r", "road", { features: [
    { geometry: { type: "Point", coordinates: [1, 1] } }, { geometry: { type: "LineString", coordinates: [[0, 0]] } },
    { geometry: { type: "MultiLineString", coordinates: [[[0, 0], [1, 1]], [[2, 2], [3, 3]]] } },
  ] }, flat);
  expect(features).toHaveLength(1);
  expect(features[0]?.rings).toHaveLength(2);
});

test("each kind has its own shape", () => {
  expect(["gas_pressure", "smoke", "noise", "dust", "bike", "gateway", "sewage"].map(shapeOf)).toEqual(["triangle", "square", "circle", "diamond", "pentagon", "hexagon", "circle"]);
  expect(cornersOf("pentagon")).toHaveLength(5);
});
