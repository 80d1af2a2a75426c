/** Where regions lie to each other: each to the nearest other one. */
import type { Region, Relation } from "@omni-iml/shared/analysis";

type Placed = Pick<Region, "id" | "bbox" | "polygon" | "area_fraction">;
type Box = Region["bbox"];

/** "left of r2" for a region among all; null where it is the only one. */
export function relativePosition(region: Placed, all: readonly Placed[]): string | null {
  let nearest: { other: Placed; distance: number } | null = null;
  for (const other of all) {
    if (other.id === region.id) continue;
    const { across, down } = gaps(region.bbox, other.bbox);
    const distance = Math.hypot(Math.max(0, across), Math.max(0, down));
    if (nearest === null || distance < nearest.distance) nearest = { other, distance };
  }
  return nearest === null ? null : `${relate(region, nearest.other)} ${nearest.other.id}`;
}

function relate(region: Placed, other: Placed): Relation {
  if (lies(region, other)) return "inside";
  if (lies(other, region)) return "around";
  const { across, down } = gaps(region.bbox, other.bbox);
  const [dx, dy] = [centre(region.bbox).x - centre(other.bbox).x, centre(region.bbox).y - centre(other.bbox).y];
  const column = dx < 0 ? "left of" : "right of";
  const row = dy < 0 ? "above" : "below";
  if (across > 0 && down > 0) return `${row} and ${column}`;
  // Boxes that are apart one way only lie beside each other that way; those that overlap, by their centres.
  const sideways = across > 0 || (down <= 0 && Math.abs(dx) >= Math.abs(dy));
  return sideways ? column : row;
}

/** Pixels between two boxes, across and down; negative where they overlap. */
function gaps(a: Box, b: Box): { across: number; down: number } {
  return {
    across: Math.max(a.x, b.x) - Math.min(a.x + a.width, b.x + b.width),
    down: Math.max(a.y, b.y) - Math.min(a.y + a.height, b.y + b.height),
  };
}

function centre({ x, y, width, height }: Box): { x: number; y: number } {
  return { x: x + width / 2, y: y + height / 2 };
}

/** Whether one region lies within the outer contour of a larger one: regions never share pixels, so one corner tells. */
function lies(inner: Placed, outer: Placed): boolean {
  const [corner] = inner.polygon;
  return corner !== undefined && inner.area_fraction < outer.area_fraction && contains(outer.polygon, corner);
}

/** Even-odd rule. */
function contains(polygon: Region["polygon"], [x, y]: readonly [number, number]): boolean {
  let inside = false;
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length] ?? [ax, ay];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  });
  return inside;
}
