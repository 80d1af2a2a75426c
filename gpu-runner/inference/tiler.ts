/** Where the tiles of an image lie, and how their pixels are cut out. */
import sharp from "sharp";

/** Every side the network sees is a multiple of this. */
const networkStride = 32;
/** Tile origins are multiples of this, so that a tile's JPEG blocks are the image's. */
const blockSide = 8;

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
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
 * Origins along one side: `tile - overlap` apart, the last moved back to end where the image ends.
 *
 * The last origin is rounded up to the block grid, not down: the tile then reaches up to seven pixels beyond the image,
 * which padding fills, instead of leaving up to seven pixels unseen.
 */
function origins(length: number, tile: number, overlap: number): number[] {
  const last = roundUp(Math.max(0, length - tile), blockSide);
  const result: number[] = [];
  for (let origin = 0; origin < last; origin += tile - overlap) result.push(origin);
  return [...result, last];
}

/** The grid for an image; a side no longer than `tile` has one tile, of that side rounded up to a multiple of 32. */
export function tileGrid(size: { width: number; height: number }, tile: number, overlap: number): TileGrid {
  return {
    width: Math.min(tile, roundUp(size.width, networkStride)),
    height: Math.min(tile, roundUp(size.height, networkStride)),
    columns: origins(size.width, tile, overlap),
    rows: origins(size.height, tile, overlap),
  };
}

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
export function cutTile(image: RgbImage, grid: TileGrid, x: number, y: number): Promise<Buffer> {
  const width = Math.min(grid.width, image.width - x);
  const height = Math.min(grid.height, image.height - y);
  return rgbImage(image)
    .extract({ left: x, top: y, width, height })
    .extend({ right: grid.width - width, bottom: grid.height - height, extendWith: "copy" })
    .raw()
    .toBuffer();
}

/** The whole image, its longer side at most `longest` pixels, both sides rounded to multiples of 32. */
export async function viewOf(image: RgbImage, longest: number): Promise<RgbImage> {
  const scale = Math.min(1, longest / Math.max(image.width, image.height));
  const round = (side: number) => Math.max(networkStride, Math.round((side * scale) / networkStride) * networkStride);
  const width = round(image.width);
  const height = round(image.height);
  const pixels = await rgbImage(image).resize(width, height, { fit: "fill", kernel: "lanczos3" }).raw().toBuffer();
  return { pixels, width, height };
}

/** `count` of the numbers 0 to `total - 1`, evenly spread, each at most once. */
export function evenlySpread(count: number, total: number): number[] {
  const taken = Math.min(count, total);
  return Array.from({ length: taken }, (_, i) => Math.floor(((i + 0.5) * total) / taken));
}
