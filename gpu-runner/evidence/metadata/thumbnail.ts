/** The small picture that a camera puts into EXIF: editors that forget it leave what the photograph showed before. */
import sharp from "sharp";
import type { RgbPixels } from "../plane.ts";

export interface ThumbnailComparison {
  /** Of the brightness of both, at most 1. */
  readonly correlation: number;
  /** The largest difference of a ninth by a ninth of the picture, in grey levels, tones matched. */
  readonly largestDifference: number;
  /** Centre of that part, as fractions of the stored image. */
  readonly at: readonly [x: number, y: number];
  readonly size: readonly [number, number];
}

/** A thumbnail is at most so large; more is somebody's attempt to have something large decoded. */
const largestThumbnail = 4_000_000;
const cells = 9;
const perCell = 8;
const side = cells * perCell;

/**
 * Compares them as they are stored. Black bars, which cameras add to thumbnails of another shape, are cut off.
 *
 * @throws where the thumbnail cannot be decoded
 */
export async function compareThumbnail(thumbnail: Uint8Array, image: RgbPixels): Promise<ThumbnailComparison | null> {
  const small = sharp(thumbnail, { ignoreIcc: true, autoOrient: false, limitInputPixels: largestThumbnail });
  const { width, height } = await small.metadata();
  const ratio = image.width / image.height;
  // The part of the thumbnail that has the image's shape, in its middle.
  const shown =
    width / height > ratio
      ? { width: Math.round(height * ratio), height }
      : { width, height: Math.round(width / ratio) };
  // Nothing of the image's shape: turned, or cropped since then. Sizes tell of that, not pixels.
  if (Math.min(shown.width / width, shown.height / height) < 0.7 || Math.min(shown.width, shown.height) < 32)
    return null;
  const bars = { left: (width - shown.width) >> 1, top: (height - shown.height) >> 1 };
  const before = await small
    .extract({ ...bars, ...shown })
    .resize(side, side, { fit: "fill" })
    .greyscale()
    .raw()
    .toBuffer();
  const after = await sharp(image.pixels, {
    raw: { width: image.width, height: image.height, channels: 3 },
    limitInputPixels: false,
  })
    .resize(side, side, { fit: "fill" })
    .greyscale()
    .raw()
    .toBuffer();
  return compare(before, after, [width, height]);
}

function compare(before: Uint8Array, after: Uint8Array, size: readonly [number, number]): ThumbnailComparison | null {
  const n = before.length;
  const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / n;
  const [mb, ma] = [mean(before), mean(after)];
  let [bb, aa, ab] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [b, a] = [(before[i] ?? 0) - mb, (after[i] ?? 0) - ma];
    bb += b * b;
    aa += a * a;
    ab += a * b;
  }
  // A plain surface correlates with nothing.
  if (Math.min(aa, bb) / n < 36) return null;
  // Tones are matched by a line: cameras and editors brighten one and not the other.
  const slope = ab / bb;
  const differences = new Float64Array(cells * cells);
  for (let i = 0; i < n; i++) {
    const difference = (after[i] ?? 0) - (ma + slope * ((before[i] ?? 0) - mb));
    const cell = Math.floor(Math.floor(i / side) / perCell) * cells + Math.floor((i % side) / perCell);
    differences[cell] = (differences[cell] ?? 0) + difference / perCell ** 2;
  }
  const largest = differences.reduce(
    (best, value, i) => (Math.abs(value) > Math.abs(differences[best] ?? 0) ? i : best),
    0,
  );
  return {
    correlation: ab / Math.sqrt(aa * bb),
    largestDifference: Math.abs(differences[largest] ?? 0),
    at: [((largest % cells) + 0.5) / cells, (Math.floor(largest / cells) + 0.5) / cells],
    size,
  };
}
