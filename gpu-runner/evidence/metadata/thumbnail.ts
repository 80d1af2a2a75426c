/** The small picture that a camera puts into EXIF: editors that forget it leave what the photograph showed before. */
import sharp, { type Sharp } from "sharp";
import { rgbPicture } from "../../image/displayed.ts";
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
/** Of `side`: by how much a camera's thumbnail may lie beside the image. */
const mostShift = 6;
/** Mean and deviation of a bar that a camera put around a thumbnail of another shape, in grey levels, at most. */
const darkest = 24;
const plainest = 12;
/** Of a thumbnail, what is compared at least. */
const leastKept = 0.6;
/** Between the shapes of both. */
const mostStretch = 1.4;

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Compares them as they are stored: whole, without black bars, or the part of the image's shape in the thumbnail's middle,
 * whichever fits best, and shifted a little where that fits better. Cameras do all of that.
 *
 * @returns null where there is nothing to compare
 * @throws where the thumbnail cannot be decoded
 */
export async function compareThumbnail(thumbnail: Uint8Array, image: RgbPixels): Promise<ThumbnailComparison | null> {
  const options = { ignoreIcc: true, autoOrient: false, limitInputPixels: largestThumbnail };
  const { data, info } = await sharp(thumbnail, options)
    .greyscale()
    .toColourspace("b-w")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  if (Math.min(width, height) < 32) return null;
  const raw = { width, height, channels: 1 } as const;
  const after = await squareOf(rgbPicture(image));
  let best: ThumbnailComparison | null = null;
  for (const frame of [
    { left: 0, top: 0, width, height },
    withoutBars(data, width, height),
    middle(width, height, image),
  ]) {
    // Of another shape than the image: sizes tell of that, not pixels.
    const stretch = frame.width / frame.height / (image.width / image.height);
    const kept = (frame.width * frame.height) / (width * height);
    if (
      kept < leastKept ||
      stretch > mostStretch ||
      stretch < 1 / mostStretch ||
      Math.min(frame.width, frame.height) < 32
    )
      continue;
    const before = await squareOf(sharp(data, { raw }).extract(frame));
    const compared = compare(before, after, [width, height]);
    if (compared !== null && (best === null || compared.correlation > best.correlation)) best = compared;
  }
  return best;
}

async function squareOf(picture: Sharp): Promise<Uint8Array> {
  return picture.resize(side, side, { fit: "fill" }).greyscale().toColourspace("b-w").blur(1).raw().toBuffer();
}

function withoutBars(data: Uint8Array, width: number, height: number): Frame {
  const plain = (start: number, step: number, count: number) => {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < count; i++) {
      const value = data[start + i * step] ?? 0;
      sum += value;
      squares += value * value;
    }
    const mean = sum / count;
    return mean <= darkest && squares / count - mean * mean <= plainest ** 2;
  };
  const row = (y: number) => plain(y * width, 1, width);
  const column = (x: number) => plain(x, width, height);
  let [top, bottom, left, right] = [0, height, 0, width];
  while (top < height / 3 && row(top)) top++;
  while (bottom > (2 * height) / 3 && row(bottom - 1)) bottom--;
  while (left < width / 3 && column(left)) left++;
  while (right > (2 * width) / 3 && column(right - 1)) right--;
  return { left, top, width: right - left, height: bottom - top };
}

/** The part of the image's shape in the middle; where that is not most of it, the image was turned, or cropped since then. */
function middle(width: number, height: number, image: RgbPixels): Frame {
  const ratio = image.width / image.height;
  const shown =
    width / height > ratio
      ? { width: Math.max(1, Math.round(height * ratio)), height }
      : { width, height: Math.max(1, Math.round(width / ratio)) };
  return { left: (width - shown.width) >> 1, top: (height - shown.height) >> 1, ...shown };
}

interface Fit {
  readonly dx: number;
  readonly dy: number;
  readonly correlation: number;
  /** Tones matched by a line: cameras and editors brighten one and not the other. */
  readonly slope: number;
  readonly level: number;
}

/** Of one shifted against the other, what both have; null where there is a plain surface, which correlates with nothing. */
function fitAt(before: Uint8Array, after: Uint8Array, dx: number, dy: number): Fit | null {
  let [n, b, a, bb, aa, ab] = [0, 0, 0, 0, 0, 0];
  // Every second pixel both ways: the squares are smooth.
  for (let y = Math.max(0, -dy); y < Math.min(side, side - dy); y += 2) {
    for (let x = Math.max(0, -dx); x < Math.min(side, side - dx); x += 2) {
      const p = before[(y + dy) * side + x + dx] ?? 0;
      const q = after[y * side + x] ?? 0;
      n++;
      b += p;
      a += q;
      bb += p * p;
      aa += q * q;
      ab += p * q;
    }
  }
  const [vb, va, covariance] = [bb / n - (b / n) ** 2, aa / n - (a / n) ** 2, ab / n - (a / n) * (b / n)];
  if (Math.min(vb, va) < 36) return null;
  const slope = covariance / vb;
  return { dx, dy, correlation: covariance / Math.sqrt(vb * va), slope, level: a / n - (slope * b) / n };
}

function compare(before: Uint8Array, after: Uint8Array, size: readonly [number, number]): ThumbnailComparison | null {
  let best: Fit | null = null;
  for (let dy = -mostShift; dy <= mostShift; dy++) {
    for (let dx = -mostShift; dx <= mostShift; dx++) {
      const fit = fitAt(before, after, dx, dy);
      if (fit !== null && (best === null || fit.correlation > best.correlation)) best = fit;
    }
  }
  if (best === null) return null;
  const { dx, dy, correlation, slope, level } = best;
  const sums = new Float64Array(cells * cells);
  const counts = new Float64Array(cells * cells);
  for (let y = Math.max(0, -dy); y < Math.min(side, side - dy); y++) {
    for (let x = Math.max(0, -dx); x < Math.min(side, side - dx); x++) {
      const cell = Math.floor(y / perCell) * cells + Math.floor(x / perCell);
      const foretold = slope * (before[(y + dy) * side + x + dx] ?? 0) + level;
      sums[cell] = (sums[cell] ?? 0) + (after[y * side + x] ?? 0) - foretold;
      counts[cell] = (counts[cell] ?? 0) + 1;
    }
  }
  // Cells that the shift has left in part are not compared: there are bars.
  const differences = sums.map((sum, cell) => (counts[cell] === perCell ** 2 ? Math.abs(sum) / perCell ** 2 : 0));
  const largest = differences.reduce((most, value, i) => (value > (differences[most] ?? 0) ? i : most), 0);
  return {
    correlation,
    largestDifference: differences[largest] ?? 0,
    at: [((largest % cells) + 0.5) / cells, (Math.floor(largest / cells) + 0.5) / cells],
    size,
  };
}
