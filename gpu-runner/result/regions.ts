/** The regions of a map: its connected parts, the most weighty first. */
import type { AbsolutePosition, Region } from "@omni-iml/shared/analysis";
import type { GreyMap } from "../image/encode.ts";
import { type Component, connectedComponents } from "./components.ts";
import { type Box, contourOf } from "./contour.ts";
import { relativePosition } from "./relative-position.ts";

/** Pixels up to which regions are found on the map itself; larger maps are reduced by whole factors first. */
const largestMap = 8_000_000;
/** Beyond these a list no longer tells anyone where to look. */
const mostRegions = 50;

/** By how much a map is reduced before regions are sought in it. */
export function factorOf({ width, height }: GreyMap): number {
  return Math.max(1, Math.ceil(Math.sqrt((width * height) / largestMap)));
}

/** @param smallestFraction of the image's area, below which a part is a speck. */
export function findRegions(map: GreyMap, threshold: number, smallestFraction: number): Region[] {
  const factor = factorOf(map);
  const reduced = reduce(map, factor);
  const area = reduced.width * reduced.height;
  return connectedComponents(reduced, threshold, Math.max(1, smallestFraction * area))
    .sort((a, b) => b.sum - a.sum)
    .slice(0, mostRegions)
    .map((component, i) => enlarge(describe(component, reduced, `r${i + 1}`), factor, map))
    .map((region, _, all) => ({
      ...region,
      position: { ...region.position, relative: relativePosition(region, all) },
    }));
}

/** The map with the mean of `factor` × `factor` pixels for each of its own; blocks at the far edges are what is left. */
export function reduce(map: GreyMap, factor: number): GreyMap {
  if (factor === 1) return map;
  const width = Math.ceil(map.width / factor);
  const height = Math.ceil(map.height / factor);
  const data = new Uint8Array(width * height);
  const sums = new Uint32Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    const rows = Math.min(factor, map.height - y * factor);
    for (let row = y * factor; row < y * factor + rows; row++) {
      for (let x = 0; x < map.width; x++) {
        const block = Math.floor(x / factor);
        sums[block] = (sums[block] ?? 0) + (map.data[row * map.width + x] ?? 0);
      }
    }
    for (let x = 0; x < width; x++) {
      const columns = Math.min(factor, map.width - x * factor);
      data[y * width + x] = Math.round((sums[x] ?? 0) / (rows * columns));
    }
  }
  return { data, width, height };
}

/** A region of a reduced map in pixels of the map. */
function enlarge(region: Region, factor: number, { width, height }: GreyMap): Region {
  if (factor === 1) return region;
  const { bbox, polygon } = region;
  const [x, y] = [bbox.x * factor, bbox.y * factor];
  return {
    ...region,
    bbox: {
      x,
      y,
      width: Math.min(bbox.width * factor, width - x),
      height: Math.min(bbox.height * factor, height - y),
    },
    polygon: polygon.map(([px, py]) => [Math.min(px * factor, width), Math.min(py * factor, height)]),
  };
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
    content_confidence: null,
    interpretation: null,
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
function positionInWords({ runs, area }: Component, { width, height }: GreyMap, fraction: number): AbsolutePosition {
  if (fraction > 0.5) return "most of the image";
  let sumX = 0;
  let sumY = 0;
  for (const { y, from, to } of runs) {
    sumX += ((from + to) / 2) * (to - from);
    sumY += (y + 0.5) * (to - from);
  }
  const third = (centre: number, side: number) => (centre < side / 3 ? 0 : centre <= (2 * side) / 3 ? 1 : 2);
  const names: readonly (readonly AbsolutePosition[])[] = [
    ["upper left", "upper centre", "upper right"],
    ["middle left", "centre", "middle right"],
    ["lower left", "lower centre", "lower right"],
  ];
  return names[third(sumY / area, height)]?.[third(sumX / area, width)] ?? "centre";
}
