/** Where the tiles of an image lie, and how their pixels are cut out. */
import type { ReleaseManifest } from "@omni-iml/shared/release";
import sharp from "sharp";

/** Every side the network sees is a multiple of this. */
const networkStride = 32;
/** The network finds places that look alike in quarters of an image's rows, of 16 px each: fewer rows cannot be had. */
const leastSide = 64;
/** Tile origins are multiples of this, so that a tile's JPEG blocks are the image's. */
const blockSide = 8;

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** How the release wants images cut. */
export type Tiling = Pick<ReleaseManifest["pipeline"], "tile" | "tile_step" | "overlap">;

/** The tiles along one side of an image. */
export interface TileRow {
  /** Of each tile along this side, in pixels. */
  readonly side: number;
  /** Where they begin, rising, multiples of 8. */
  readonly origins: readonly number[];
}

/** The tiles of an image: every pair of a column's and a row's origin. All tiles have one size. */
export interface TileGrid {
  readonly width: number;
  readonly height: number;
  /** x of each column of tiles, rising. */
  readonly columns: readonly number[];
  /** y of each row of tiles, rising. */
  readonly rows: readonly number[];
}

/**
 * As few tiles as ones of the largest side need, and those as small as that number allows: what tiles have in common is
 * computed twice. Sides are multiples of `tile_step`, so that there are few shapes; up to `tile` one tile covers all.
 *
 * Origins are spread evenly, and rounded down to the block grid, but the last is rounded up: its tile then reaches up to
 * seven pixels beyond the image, which padding fills, instead of leaving up to seven pixels unseen. Because `tile`,
 * `tile_step` and `overlap` lie on that grid, neighbours have `overlap` pixels in common after rounding, too.
 */
export function tilesAlong(length: number, { tile, tile_step, overlap }: Tiling): TileRow {
  if (length <= tile) return { side: Math.min(tile, roundUp(length, networkStride)), origins: [0] };
  const count = Math.ceil((length - overlap) / (tile - overlap));
  const side = Math.min(tile, roundUp(Math.ceil((length + (count - 1) * overlap) / count), tile_step));
  const lastBlock = Math.ceil((length - side) / blockSide);
  const origins = Array.from({ length: count }, (_, i) => blockSide * Math.floor((i * lastBlock) / (count - 1)));
  return { side, origins };
}

/** All sides that tiles have where an image's side is longer than `tile`, rising. */
export function sidesOfSeveral(tiling: Tiling): number[] {
  const { tile, tile_step } = tiling;
  // Two tiles of which one would almost do are the smallest: the more there are, the less each can do without.
  const { side: smallest } = tilesAlong(tile + 1, tiling);
  const below = Array.from({ length: Math.ceil((tile - smallest) / tile_step) }, (_, i) => smallest + i * tile_step);
  return [...below, tile];
}

/** The grid for an image. */
export function tileGrid(size: { width: number; height: number }, tiling: Tiling): TileGrid {
  const across = tilesAlong(size.width, tiling);
  const down = tilesAlong(size.height, tiling);
  return { width: across.side, height: down.side, columns: across.origins, rows: down.origins };
}

type ViewSizes = Omit<ReleaseManifest["pipeline"]["view"], "weights" | "mirrored">;

/** RGB, 8 bits, row by row. */
export interface RgbImage {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

function rgbImage({ pixels, width, height }: RgbImage) {
  return sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false });
}

/** The pixels of one tile. What lies beyond the image's right and lower edge repeats the edge. */
export function cutTile(image: RgbImage, grid: TileGrid, x: number, y: number): Uint8Array {
  const line = 3 * grid.width;
  const pixels = new Uint8Array(line * grid.height);
  const shown = 3 * Math.min(grid.width, image.width - x);
  const rows = Math.min(grid.height, image.height - y);
  for (let row = 0; row < rows; row++) {
    const from = 3 * ((y + row) * image.width + x);
    pixels.set(image.pixels.subarray(from, from + shown), row * line);
    for (let at = row * line + shown; at < (row + 1) * line; at++) pixels[at] = pixels[at - 3] ?? 0;
  }
  for (let row = rows; row < grid.height; row++) pixels.copyWithin(row * line, (rows - 1) * line, rows * line);
  return pixels;
}

/** By what factor the view resizes an image: small ones are enlarged, others shrunk. */
export function viewScale(image: { width: number; height: number }, { size, enlarged }: ViewSizes): number {
  const longest = Math.max(image.width, image.height);
  if (longest <= enlarged.up_to) return Math.min(enlarged.factor, enlarged.size / longest);
  return Math.min(1, size / longest);
}

/** The whole image resized by `scale`, both sides rounded to multiples of 32: a panorama's shorter one at least to 64. */
export async function viewOf(image: RgbImage, scale: number, mirrored: boolean): Promise<RgbImage> {
  const round = (side: number) => Math.max(leastSide, Math.round((side * scale) / networkStride) * networkStride);
  const width = round(image.width);
  const height = round(image.height);
  const resized = rgbImage(image).resize(width, height, { fit: "fill", kernel: "lanczos3" }).flop(mirrored);
  return { pixels: await resized.raw().toBuffer(), width, height };
}

/** Turns a map left to right, in place. */
export function mirror(map: Uint8Array, width: number): Uint8Array {
  for (let start = 0; start < map.length; start += width) map.subarray(start, start + width).reverse();
  return map;
}

/** `count` of the numbers 0 to `total - 1`, evenly spread, each at most once. */
export function evenlySpread(count: number, total: number): number[] {
  const taken = Math.min(count, total);
  return Array.from({ length: taken }, (_, i) => Math.floor(((i + 0.5) * total) / taken));
}
