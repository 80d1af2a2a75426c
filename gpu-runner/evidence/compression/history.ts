/** What a picture's coefficients tell about earlier compressions: of all of it, and of regions against the rest. */
import { type Plane, type Point, rasterize } from "../plane.ts";
import { type BlockCoefficients, blockCoefficients, blocksWhere } from "./dct.ts";
import { type CompressionHistory, candidateQualities, compressionHistory } from "./double.ts";
import { findGhost, type Ghost, ghostAt } from "./ghosts.ts";

export interface HistoryInput {
  /** Its upper left corner lies on the grid of the stored image. */
  readonly plane: Plane;
  /** The file's luma table and the libjpeg quality nearest to it; null outside JPEGs. */
  readonly jpeg: { readonly table: Int32Array; readonly quality: number } | null;
  /** In pixels of the plane, the weightiest first. */
  readonly regions: readonly { readonly id: string; readonly polygon: readonly Point[] }[];
}

export interface RegionHistory {
  readonly region: string;
  /** Null where nothing about double compression could be measured on both sides. */
  readonly double: { readonly region: CompressionHistory; readonly image: CompressionHistory } | null;
  /** The ghost that is strongest in the region, and how strong the same one is outside; and the other way round. */
  readonly ghost: { readonly inside: Ghost; readonly outside: number } | null;
  readonly missing: { readonly outside: Ghost; readonly inside: number } | null;
}

export interface ImageHistory {
  readonly double: CompressionHistory | null;
  readonly ghost: Ghost | null;
  readonly regions: readonly RegionHistory[];
  readonly blocks: number;
}

/** Nats a coefficient from which an earlier compression of the whole image is believed. Single ones stay below .002. */
export const believedGain = 0.015;
/** The same of a region, which has fewer blocks; the other side must contradict it. */
const believedRegionGain = 0.05;
const contradiction = -0.015;
/** Depth from which a ghost is believed, and what it may at most be where it is missing. */
export const believedDepth = 0.3;
const missingDepth = 0.08;
/** Regions that are compared with the rest. */
const mostRegions = 4;
/** Blocks of a region without which there is nothing to compare. */
const fewestBlocks = 150;

export function examineHistory({ plane, jpeg, regions }: HistoryInput): ImageHistory {
  const { width, height } = plane;
  const masks = regions.slice(0, mostRegions).map(({ polygon }) => rasterize(polygon, width, height));
  const anyRegion = new Uint8Array(width * height);
  for (const mask of masks) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) anyRegion[i] = 1;
  const outsideOf = (coefficients: BlockCoefficients) => blocksWhere(coefficients, anyRegion, width, 0);
  const aligned = blockCoefficients(plane, [0, 0]);
  const shifted = blockCoefficients(plane, [4, 4]);
  const search = { below: jpeg === null ? 95 : jpeg.quality - 4, present: jpeg !== null };
  const historyOf = (choose: (coefficients: BlockCoefficients) => Int32Array) =>
    jpeg && compressionHistory(aligned, choose(aligned), shifted, choose(shifted), jpeg.table, jpeg.quality);

  const double = historyOf(outsideOf);
  const ghost = findGhost(plane, outsideOf, search);
  return {
    double,
    ghost,
    blocks: aligned.columns * aligned.rows,
    regions: masks.flatMap((mask, i) => {
      const region = regions[i]?.id ?? "";
      const insideOf = (coefficients: BlockCoefficients) => blocksWhere(coefficients, mask, width, 1);
      if (insideOf(aligned).length < fewestBlocks) return [];
      const inside = historyOf(insideOf);
      const ghostInside = findGhost(plane, insideOf, search);
      const strengthOf = (found: Ghost | null, choose: typeof insideOf) => {
        if (found === null) return null;
        const coefficients = blockCoefficients(plane, found.offset);
        return ghostAt(coefficients, choose(coefficients), found.quality);
      };
      const outsideStrength = strengthOf(ghostInside, outsideOf);
      const insideStrength = strengthOf(ghost, insideOf);
      return [
        {
          region,
          double: inside && double && { region: inside, image: double },
          ghost: ghostInside && outsideStrength !== null ? { inside: ghostInside, outside: outsideStrength } : null,
          missing: ghost && insideStrength !== null ? { outside: ghost, inside: insideStrength } : null,
        },
      ];
    }),
  };
}

function gainAt(history: CompressionHistory, quality: number): number {
  return history.gains[candidateQualities.indexOf(quality)] ?? 0;
}

/** Whether one side was compressed before in a way that the other contradicts. */
export function compressionDiffers({ double }: RegionHistory): boolean {
  if (double === null) return false;
  const { region, image } = double;
  return (
    (region.gain >= believedRegionGain && gainAt(image, region.quality) <= contradiction) ||
    (image.gain >= believedRegionGain && gainAt(region, image.quality) <= contradiction)
  );
}

/** A ghost on one side that is not on the other. */
export function ghostDiffers({
  ghost,
  missing,
}: RegionHistory): { ghost: Ghost; other: number; inside: boolean } | null {
  if (ghost !== null && ghost.inside.depth >= believedDepth && ghost.outside <= missingDepth) {
    return { ghost: ghost.inside, other: ghost.outside, inside: true };
  }
  if (missing !== null && missing.outside.depth >= believedDepth && missing.inside <= missingDepth) {
    return { ghost: missing.outside, other: missing.inside, inside: false };
  }
  return null;
}
