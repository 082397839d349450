// Shapes by kind: gas a triangle, smoke a square, noise a circle, dust a diamond, bikes a pentagon, gateways a hexagon.

export type Shape = "triangle" | "square" | "circle" | "diamond" | "pentagon" | "hexagon";

const SHAPES: Record<string, Shape> = {
  gas_pressure: "triangle", smoke: "square", noise: "circle", dust: "diamond", bike: "pentagon", bike_fence: "pentagon", gateway: "hexagon",
};

export const shapeOf = (kind: string): Shape => SHAPES[kind] ?? "circle";

/** Corners around 0,0 for a radius of 1; none is a circle. */
export function cornersOf(shape: Shape): [number, number][] {
  if (shape === "circle") return [];
  if (shape === "square") return [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]];
  const n = { triangle: 3, diamond: 4, pentagon: 5, hexagon: 6 }[shape];
  const reach = shape === "triangle" ? 1.2 : 1.05;
  return Array.from({ length: n }, (_, at) => {
    const angle = (at / n) * 2 * Math.PI - Math.PI / 2;
    return [Math.cos(angle) * reach, Math.sin(angle) * reach + (shape === "triangle" ? 0.15 : 0)];
  });
}

const corners = new Map<Shape, [number, number][]>();

export function trace(ctx: CanvasRenderingContext2D, shape: Shape, x: number, y: number, r: number): void {
  let found = corners.get(shape);
  if (found === undefined) corners.set(shape, found = cornersOf(shape));
  ctx.beginPath();
  if (found.length === 0) {
    ctx.arc(x, y, r, 0, Math.PI * 2);
    return;
  }
  found.forEach(([dx, dy], at) => {
    if (at === 0) ctx.moveTo(x + dx * r, y + dy * r);
    else ctx.lineTo(x + dx * r, y + dy * r);
  });
  ctx.closePath();
}
