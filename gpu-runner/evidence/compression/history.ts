/** What a picture's coefficients tell about earlier compressions: of all of it, and of regions against the rest. */
import { type Plane, type Point, rasterize } from "../plane.ts";
import { type BlockGrid, blockCoefficients, blocksWhere, gridOf } from "./dct.ts";
import { type CompressionHistory, candidateQualities, compressionHistory } from "./double.ts";
import { type ChooseBlocks, findGhost, type Ghost, type GhostSearch, strengthElsewhere } from "./ghosts.ts";

export interface HistoryInput {
  /** Its upper left corner lies on the grid of the stored image. */
  readonly plane: Plane;
  /** The file's luma table and the libjpeg quality nearest to it; null outside JPEGs. */
  readonly jpeg: { readonly table: Int32Array; readonly quality: number } | null;
  /** In pixels of the plane, the weightiest first. */
  readonly regions: readonly { readonly id: string; readonly polygon: readonly Point[] }[];
  /** Whether nothing but what `historiesDiffer` reads is wanted, which takes less time. */
  readonly differencesOnly: boolean;
}

export interface RegionHistory {
  readonly region: string;
  /** Whole 8×8 blocks in it. */
  readonly blocks: number;
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
/** Depth from which a ghost is believed. */
export const believedDepth = 0.3;
/** The image's blocks without which nothing is said about its own earlier compression. */
const fewestImageBlocks = 150;
const fewestImageCoefficients = 200;

/** Regions that are compared with the rest: of 50 forged validation images that differed, none showed it in a third or fourth alone. */
const mostRegions = 2;
/** Blocks of a region without which there is nothing to compare, and coefficients without which there is no ghost. */
const fewestBlocks = 60;
const fewestCoefficients = 100;
/** What is believed of a region of so many blocks. Of a smaller one more must show, of a larger one less, within limits. */
const usualBlocks = 150;
const mostBlocks = { double: 600, ghost: 300 };
/**
 * Nats a coefficient from which an earlier compression of one side is believed that the other contradicts. In a region the
 * best of all qualities stands out by chance as well; the image's is found in thousands of blocks.
 */
const believedDifference = { image: 0.03, region: 0.06 };
/** A contradiction may be so many times weaker than what it contradicts. */
const contradicts = 3;
/** What a ghost may at most be where it is missing, as its share, or in any case. */
const missingShare = 0.25;
const missingDepth = 0.03;

export function examineHistory(input: HistoryInput): ImageHistory {
  const { plane, jpeg, differencesOnly } = input;
  const { width, height } = plane;
  const masks = regionMasks(input);
  const comparable = masks.filter(({ blocks }) => blocks >= fewestBlocks);
  const { columns, rows } = gridOf(plane, [0, 0]);
  const blocks = columns * rows;
  if (differencesOnly && comparable.length === 0) return { double: null, ghost: null, blocks, regions: [] };
  const anyRegion = new Uint8Array(width * height);
  for (const { mask } of masks) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) anyRegion[i] = 1;
  const outsideOf = (grid: BlockGrid) => blocksWhere(grid, anyRegion, width, 0);
  const search = { below: jpeg === null ? 95 : jpeg.quality - 4, present: jpeg !== null };
  const imageSearch: GhostSearch = { ...search, fewest: fewestImageCoefficients };
  const regionSearch: GhostSearch = { ...search, fewest: fewestCoefficients };
  const historyOf = doubleSearch(input);
  const ghostOf = (choose: ChooseBlocks, how: GhostSearch) =>
    differencesOnly && jpeg !== null ? null : findGhost(plane, choose, how);

  const double = historyOf(outsideOf, fewestImageBlocks);
  const ghost = ghostOf(outsideOf, imageSearch);
  return {
    double,
    ghost,
    blocks,
    regions: comparable.map(({ id, mask, blocks }) => {
      const insideOf = (grid: BlockGrid) => blocksWhere(grid, mask, width, 1);
      const inside = historyOf(insideOf, fewestBlocks);
      const found = ghostOf(insideOf, regionSearch);
      return {
        region: id,
        blocks,
        double: inside && double && { region: inside, image: double },
        ghost: found && { inside: found, outside: strengthElsewhere(plane, outsideOf, found, fewestCoefficients) },
        missing: ghost && { outside: ghost, inside: strengthElsewhere(plane, insideOf, ghost, fewestCoefficients) },
      };
    }),
  };
}

function regionMasks({ plane, regions }: HistoryInput) {
  const { width, height } = plane;
  return regions.slice(0, mostRegions).map(({ id, polygon }) => {
    const mask = rasterize(polygon, width, height);
    return { id, mask, blocks: blocksWhere(gridOf(plane, [0, 0]), mask, width, 1).length };
  });
}

/** Finds the history of some of the blocks; null outside JPEGs, and where the blocks are too few. */
function doubleSearch({ plane, jpeg }: HistoryInput) {
  if (jpeg === null) return () => null;
  const aligned = blockCoefficients(plane, [0, 0]);
  const shifted = blockCoefficients(plane, [4, 4]);
  return (choose: ChooseBlocks, fewest: number) =>
    compressionHistory(aligned, choose(aligned), shifted, choose(shifted), jpeg.table, jpeg.quality, fewest);
}

function gainAt(history: CompressionHistory, quality: number): number {
  return history.gains[candidateQualities.indexOf(quality)] ?? 0;
}

/** The side that was compressed before in a way that the other contradicts. */
export function compressionDiffers({ double }: RegionHistory): "region" | "image" | null {
  if (double === null) return null;
  const { region, image } = double;
  const blocks = Math.min(region.blocks, image.blocks, mostBlocks.double);
  const difference = (one: CompressionHistory, other: CompressionHistory) =>
    Math.min(one.gain, -contradicts * gainAt(other, one.quality)) * (blocks / usualBlocks);
  if (difference(image, region) >= believedDifference.image) return "image";
  // What fits the region best matters little where the image's history fits it as well.
  const shared = Math.min(image.gain, gainAt(region, image.quality)) >= believedGain;
  return !shared && difference(region, image) >= believedDifference.region ? "region" : null;
}

/** A ghost on one side that is not on the other. */
export function ghostDiffers({
  blocks,
  ghost,
  missing,
}: RegionHistory): { ghost: Ghost; other: number; inside: boolean } | null {
  const certainty = Math.sqrt(Math.min(blocks, mostBlocks.ghost) / usualBlocks);
  const differs = ({ depth }: Ghost, other: number) =>
    other <= Math.max(missingDepth, missingShare * depth) && (depth - Math.max(0, other)) * certainty >= believedDepth;
  if (ghost !== null && differs(ghost.inside, ghost.outside)) {
    return { ghost: ghost.inside, other: ghost.outside, inside: true };
  }
  if (missing !== null && differs(missing.outside, missing.inside)) {
    return { ghost: missing.outside, other: missing.inside, inside: false };
  }
  return null;
}

/**
 * Whether a region was compressed apart from the rest, by the trace that tells most of such files: a JPEG's own coefficients
 * show it by their histograms, the pixels of other files by a ghost.
 */
export function historiesDiffer({ regions }: ImageHistory, jpeg: boolean): boolean {
  return regions.some((region) => (jpeg ? compressionDiffers(region) : ghostDiffers(region)) !== null);
}
