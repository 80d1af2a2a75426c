/** The regions of a map: its connected parts, the most weighty first. */
import type { Region } from "@omni-iml/shared/analysis";
import type { GreyMap } from "../image/encode.ts";
import { type Component, connectedComponents } from "./components.ts";
import { type Box, contourOf } from "./contour.ts";

/** Beyond these a list no longer tells anyone where to look. */
const mostRegions = 50;

/** @param smallestFraction of the image's area, below which a part is a speck. */
export function findRegions(map: GreyMap, threshold: number, smallestFraction: number): Region[] {
  const area = map.width * map.height;
  return connectedComponents(map, threshold, Math.max(1, smallestFraction * area))
    .sort((a, b) => b.sum - a.sum)
    .slice(0, mostRegions)
    .map((component, i) => describe(component, map, `r${i + 1}`));
}

function describe(component: Component, map: GreyMap, id: string): Region {
  const bbox = boxOf(component);
  const fraction = component.area / (map.width * map.height);
  return {
    id,
    bbox,
    polygon: contourOf(component.runs, bbox).map(([x, y]): [number, number] => [x, y]),
    area_fraction: fraction,
    score: component.sum / component.area / 255,
    manipulation: null,
    artifacts: [],
    position: { absolute: positionInWords(component, map, fraction), relative: null },
    content: null,
  };
}

function boxOf({ runs }: Component): Box {
  let left = Number.POSITIVE_INFINITY;
  let right = 0;
  for (const { from, to } of runs) {
    left = Math.min(left, from);
    right = Math.max(right, to);
  }
  const top = runs[0]?.y ?? 0;
  return { x: left, y: top, width: right - left, height: (runs.at(-1)?.y ?? 0) + 1 - top };
}

/** Where the centre of gravity lies, by thirds of the displayed image. */
function positionInWords({ runs, area }: Component, { width, height }: GreyMap, fraction: number): string {
  if (fraction > 0.5) return "most of the image";
  let sumX = 0;
  let sumY = 0;
  for (const { y, from, to } of runs) {
    sumX += ((from + to) / 2) * (to - from);
    sumY += (y + 0.5) * (to - from);
  }
  const third = (centre: number, side: number) => (centre < side / 3 ? 0 : centre <= (2 * side) / 3 ? 1 : 2);
  const names = [
    ["upper left", "upper centre", "upper right"],
    ["middle left", "centre", "middle right"],
    ["lower left", "lower centre", "lower right"],
  ];
  return names[third(sumY / area, height)]?.[third(sumX / area, width)] ?? "centre";
}
