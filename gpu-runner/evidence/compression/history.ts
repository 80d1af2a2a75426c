/** What a picture's coefficients tell about earlier compressions: of all of it, and of regions against the rest. */
import { lumaOf, type Plane, type Point, type RgbPixels, rasterize } from "../plane.ts";
import { blockCoefficients, blocksWhere, gridOf } from "./dct.ts";
import { type CompressionHistory, candidateQualities, compressionHistory } from "./double.ts";
import { type ChooseBlocks, findGhost, type Ghost, type GhostSearch, strengthElsewhere } from "./ghosts.ts";

export interface HistoryInput {
  /** Its upper left corner lies on the grid of the stored image. */
  readonly picture: RgbPixels;
  /** The file's luma table and the libjpeg quality nearest to it; null outside JPEGs. */
  readonly jpeg: { readonly table: Int32Array; readonly quality: number } | null;
  /** In pixels of the picture, the weightiest first. */
  readonly regions: readonly { readonly id: string; readonly polygon: readonly Point[] }[];
  /** Whether nothing but what `historiesDiffer` reads is wanted, which takes less time. */
  readonly differencesOnly: boolean;
}

export interface RegionHistory {
  readonly region: string;
  /** Whole 8×8 blocks in it that are not clipped. */
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

/**
 * Pixels of a block that may have a colour at 0 or 255. What a decoder cut off there is missing in what was saved next: a
 * barrel of so deep a blue that no red was left looked as if it alone had never been saved before.
 */
const mostClipped = 8;
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
  const { picture, jpeg, differencesOnly } = input;
  const { width, height } = picture;
  const plane = lumaOf(picture);
  const choose = unclippedBlocks(picture);
  const masks = regionMasks(input, plane, choose);
  const comparable = masks.filter(({ blocks }) => blocks >= fewestBlocks);
  const { columns, rows } = gridOf(plane, [0, 0]);
  const blocks = columns * rows;
  if (differencesOnly && comparable.length === 0) return { double: null, ghost: null, blocks, regions: [] };
  const anyRegion = new Uint8Array(width * height);
  for (const { mask } of masks) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) anyRegion[i] = 1;
  const outsideOf = choose(anyRegion, 0);
  const search = { below: jpeg === null ? 95 : jpeg.quality - 4, present: jpeg !== null };
  const imageSearch: GhostSearch = { ...search, fewest: fewestImageCoefficients };
  const regionSearch: GhostSearch = { ...search, fewest: fewestCoefficients };
  const historyOf = doubleSearch(plane, jpeg);
  const ghostOf = (blocksOf: ChooseBlocks, how: GhostSearch) =>
    differencesOnly && jpeg !== null ? null : findGhost(plane, blocksOf, how);

  const double = historyOf(outsideOf, fewestImageBlocks);
  const ghost = ghostOf(outsideOf, imageSearch);
  return {
    double,
    ghost,
    blocks,
    regions: comparable.map(({ id, mask, blocks }) => {
      const insideOf = choose(mask, 1);
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

type Choose = (mask: Uint8Array, value: 0 | 1) => ChooseBlocks;

/** Chooses whole blocks that a mask marks with a value, but for those that are clipped. */
function unclippedBlocks(picture: RgbPixels): Choose {
  const clipped = clippedBlocks(picture);
  return (mask, value) => (grid) => blocksWhere(grid, mask, picture.width, value, clipped);
}

/** 1 at each pixel with which a block begins that is clipped. */
function clippedBlocks({ pixels, width, height }: RgbPixels): Uint8Array {
  // How many of the last eight rows are clipped in each column.
  const columns = new Uint8Array(width);
  const extreme = new Uint8Array(width * height);
  const blocks = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const r = pixels[at];
      const g = pixels[at + 1];
      const b = pixels[at + 2];
      if (r === 0 || r === 255 || g === 0 || g === 255 || b === 0 || b === 255) {
        extreme[y * width + x] = 1;
        columns[x] = (columns[x] ?? 0) + 1;
      }
      if (y >= 8) columns[x] = (columns[x] ?? 0) - (extreme[(y - 8) * width + x] ?? 0);
    }
    if (y < 7) continue;
    for (let x = 0, sum = 0; x < width; x++) {
      sum += (columns[x] ?? 0) - (x >= 8 ? (columns[x - 8] ?? 0) : 0);
      if (x >= 7 && sum > mostClipped) blocks[(y - 7) * width + x - 7] = 1;
    }
  }
  return blocks;
}

function regionMasks({ regions }: HistoryInput, plane: Plane, choose: Choose) {
  const grid = gridOf(plane, [0, 0]);
  return regions.slice(0, mostRegions).map(({ id, polygon }) => {
    const mask = rasterize(polygon, plane.width, plane.height);
    return { id, mask, blocks: choose(mask, 1)(grid).length };
  });
}

/** Finds the history of some of the blocks; null outside JPEGs, and where the blocks are too few. */
function doubleSearch(plane: Plane, jpeg: HistoryInput["jpeg"]) {
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
