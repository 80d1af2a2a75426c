/** The outer contour of a component as a polygon along pixel edges, simplified. */
import type { Run } from "./components.ts";

export type Point = readonly [x: number, y: number];

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Cells of the bitmap that a contour is followed on; larger components are followed on coarser cells. */
const largestBitmap = 1 << 20;
/** More corners than this help no one who draws them. */
const mostPoints = 200;

interface Bitmap {
  readonly cells: Uint8Array;
  readonly width: number;
  readonly height: number;
}

function bitmapOf(runs: readonly Run[], box: Box, cell: number): Bitmap {
  const width = Math.ceil(box.width / cell);
  const height = Math.ceil(box.height / cell);
  const cells = new Uint8Array(width * height);
  for (const { y, from, to } of runs) {
    const row = Math.floor((y - box.y) / cell) * width;
    cells.fill(1, row + Math.floor((from - box.x) / cell), row + Math.floor((to - 1 - box.x) / cell) + 1);
  }
  return { cells, width, height };
}

/** Right, down, left, up. */
const steps: readonly Point[] = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

/**
 * Walks along the edges of the outermost pixels, the component on the right hand, and notes each corner.
 *
 * Where two pixels touch at a corner only, the walk turns left and so keeps them together, as 8-connectivity does.
 */
function followEdge({ cells, width, height }: Bitmap): Point[] {
  const filled = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && cells[y * width + x] === 1;
  const start = cells.indexOf(1);
  const startX = start % width;
  const startY = Math.floor(start / width);
  const corners: Point[] = [];
  let x = startX;
  let y = startY;
  let heading = 0;
  do {
    const [dx, dy] = steps[heading] ?? [0, 0];
    x += dx;
    y += dy;
    // The two cells ahead of this corner: to the left and to the right of the heading.
    const leftX = x + (dx - 1 + dy) / 2;
    const leftY = y + (dy - 1 - dx) / 2;
    const rightX = x + (dx - 1 - dy) / 2;
    const rightY = y + (dy - 1 + dx) / 2;
    const turn = filled(leftX, leftY) ? 3 : filled(rightX, rightY) ? 0 : 1;
    if (turn !== 0) corners.push([x, y]);
    heading = (heading + turn) % 4;
  } while (x !== startX || y !== startY || heading !== 0);
  return corners;
}

function distanceToSegment([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const lengthSquared = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = lengthSquared === 0 ? 0 : ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / lengthSquared;
  const clamped = Math.min(1, Math.max(0, along));
  return Math.hypot(x - ax - clamped * (bx - ax), y - ay - clamped * (by - ay));
}

function farthest(points: readonly Point[], from: number, to: number): { index: number; distance: number } {
  const first = points[from];
  const last = points[to];
  let best = { index: from, distance: -1 };
  if (first === undefined || last === undefined) return best;
  for (let index = from + 1; index < to; index++) {
    const point = points[index];
    if (point === undefined) continue;
    const distance = distanceToSegment(point, first, last);
    if (distance > best.distance) best = { index, distance };
  }
  return best;
}

/** Douglas and Peucker's simplification of a closed ring: no corner is farther than `tolerance` from the result. */
export function simplifyRing(ring: readonly Point[], tolerance: number): Point[] {
  const [first] = ring;
  if (first === undefined || ring.length <= 4) return [...ring];
  const closed = [...ring, first];
  // The ring is cut at its start and at the corner farthest from it.
  const middle = farthest(closed, 0, closed.length - 1).index;
  const keep = new Set([0, middle]);
  const open: [number, number][] = [
    [0, middle],
    [middle, closed.length - 1],
  ];
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    const { index, distance } = farthest(closed, part[0], part[1]);
    if (distance <= tolerance) continue;
    keep.add(index);
    open.push([part[0], index], [index, part[1]]);
  }
  return ring.filter((_, index) => keep.has(index));
}

/** The outer contour in pixels of the map, not closed. */
export function contourOf(runs: readonly Run[], box: Box): Point[] {
  const cell = Math.max(1, Math.ceil(Math.sqrt((box.width * box.height) / largestBitmap)));
  const ring = followEdge(bitmapOf(runs, box, cell)).map(
    ([x, y]): Point => [box.x + Math.min(x * cell, box.width), box.y + Math.min(y * cell, box.height)],
  );
  let tolerance = Math.max(1, 0.004 * Math.hypot(box.width, box.height));
  let polygon = simplifyRing(ring, tolerance);
  while (polygon.length > mostPoints) {
    tolerance *= 1.5;
    polygon = simplifyRing(ring, tolerance);
  }
  return polygon;
}
