/** Low frequencies of the 8×8 DCT of a plane, as JPEG scales it, on any grid. */
import type { Plane } from "../plane.ts";

/** The AC coefficients up to u + v = 4: beyond them most blocks hold zeros. Natural positions, 8v + u. */
export const lowFrequencies: readonly number[] = [1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4];
const harmonics = 5;

/** cosines[4 × u + x] for x from 0 to 3: the orthonormal DCT-II's basis. Of 7 − x it is the same, turned round for odd u. */
const cosines = new Float64Array(4 * harmonics);
for (let u = 0; u < harmonics; u++) {
  for (let x = 0; x < 4; x++) {
    cosines[4 * u + x] = (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
  }
}

/** The lowest harmonics of the eight values from `at` on, written to `into` from `to` on, `step` apart. */
function transformEight(values: ArrayLike<number>, at: number, into: Float64Array, to: number, step: number): void {
  const [a = 0, b = 0, c = 0, d = 0] = [values[at], values[at + 1], values[at + 2], values[at + 3]];
  const [e = 0, f = 0, g = 0, h = 0] = [values[at + 7], values[at + 6], values[at + 5], values[at + 4]];
  for (let u = 0; u < harmonics; u++) {
    const sign = 1 - 2 * (u & 1);
    into[to + u * step] =
      (a + sign * e) * (cosines[4 * u] ?? 0) +
      (b + sign * f) * (cosines[4 * u + 1] ?? 0) +
      (c + sign * g) * (cosines[4 * u + 2] ?? 0) +
      (d + sign * h) * (cosines[4 * u + 3] ?? 0);
  }
}

/** Whole 8×8 blocks of a plane. */
export interface BlockGrid {
  readonly columns: number;
  readonly rows: number;
  /** Of the grid's first block. */
  readonly offset: readonly [x: number, y: number];
}

export function gridOf({ width, height }: Plane, offset: BlockGrid["offset"]): BlockGrid {
  const along = (length: number, first: number) => Math.max(0, Math.floor((length - first) / 8));
  return { columns: along(width, offset[0]), rows: along(height, offset[1]), offset };
}

export interface BlockCoefficients extends BlockGrid {
  /** `lowFrequencies.length` values a block, block rows from the top. */
  readonly values: Float32Array;
}

export function blockCoefficients(plane: Plane, offset: BlockGrid["offset"]): BlockCoefficients {
  const { data, width } = plane;
  const grid = gridOf(plane, offset);
  const { columns, rows } = grid;
  const perBlock = lowFrequencies.length;
  const values = new Float32Array(columns * rows * perBlock);
  /** Of a block, by horizontal harmonic and row, and then by both harmonics. */
  const half = new Float64Array(harmonics * 8);
  const both = new Float64Array(harmonics * harmonics);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = (offset[1] + row * 8) * width + offset[0] + column * 8;
      for (let y = 0; y < 8; y++) transformEight(data, at + y * width, half, y, 8);
      for (let u = 0; u < harmonics; u++) transformEight(half, u * 8, both, u, harmonics);
      const block = (row * columns + column) * perBlock;
      for (let f = 0; f < perBlock; f++) {
        const position = lowFrequencies[f] ?? 0;
        values[block + f] = both[(position >> 3) * harmonics + (position & 7)] ?? 0;
      }
    }
  }
  return { values, ...grid };
}

/** Blocks whose corners a mask of the plane marks with `value`, but for those that begin where `except` is 1. */
export function blocksWhere(
  { columns, rows, offset }: BlockGrid,
  mask: Uint8Array,
  width: number,
  value: 0 | 1,
  except: Uint8Array,
): Int32Array {
  const blocks = new Int32Array(columns * rows);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      // All four corners of the inner block: a block on the border belongs to neither side.
      const x = offset[0] + column * 8;
      const y = offset[1] + row * 8;
      if (
        mask[y * width + x] === value &&
        mask[y * width + x + 7] === value &&
        mask[(y + 7) * width + x] === value &&
        mask[(y + 7) * width + x + 7] === value &&
        except[y * width + x] === 0
      ) {
        blocks[count++] = row * columns + column;
      }
    }
  }
  return blocks.subarray(0, count);
}
