/** Low frequencies of the 8×8 DCT of a plane, as JPEG scales it, on any grid. */
import type { Plane } from "../plane.ts";

/** The AC coefficients up to u + v = 4: beyond them most blocks hold zeros. Natural positions, 8v + u. */
export const lowFrequencies: readonly number[] = [1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4];
const harmonics = 5;

/** cosines[5 × x + u]: the orthonormal DCT-II's basis. */
const cosines = new Float64Array(8 * harmonics);
for (let x = 0; x < 8; x++) {
  for (let u = 0; u < harmonics; u++) {
    cosines[x * harmonics + u] = (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
  }
}

export interface BlockCoefficients {
  /** `lowFrequencies.length` values a block, block rows from the top. */
  readonly values: Float32Array;
  readonly columns: number;
  readonly rows: number;
  /** Of the grid's first block. */
  readonly offset: readonly [x: number, y: number];
}

export function blockCoefficients(plane: Plane, offset: readonly [x: number, y: number]): BlockCoefficients {
  const { data, width, height } = plane;
  const columns = Math.max(0, Math.floor((width - offset[0]) / 8));
  const rows = Math.max(0, Math.floor((height - offset[1]) / 8));
  const perBlock = lowFrequencies.length;
  const values = new Float32Array(columns * rows * perBlock);
  const half = new Float64Array(8 * harmonics);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let y = 0; y < 8; y++) {
        const at = (offset[1] + row * 8 + y) * width + offset[0] + column * 8;
        for (let u = 0; u < harmonics; u++) {
          let sum = 0;
          for (let x = 0; x < 8; x++) sum += (data[at + x] ?? 0) * (cosines[x * harmonics + u] ?? 0);
          half[y * harmonics + u] = sum;
        }
      }
      const block = (row * columns + column) * perBlock;
      for (let f = 0; f < perBlock; f++) {
        const position = lowFrequencies[f] ?? 0;
        const u = position & 7;
        const v = position >> 3;
        let sum = 0;
        for (let y = 0; y < 8; y++) sum += (half[y * harmonics + u] ?? 0) * (cosines[y * harmonics + v] ?? 0);
        values[block + f] = sum;
      }
    }
  }
  return { values, columns, rows, offset };
}

/** Blocks whose centre a mask of the plane marks with `value`. */
export function blocksWhere(
  { columns, rows, offset }: BlockCoefficients,
  mask: Uint8Array,
  width: number,
  value: 0 | 1,
) {
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
        mask[(y + 7) * width + x + 7] === value
      ) {
        blocks[count++] = row * columns + column;
      }
    }
  }
  return blocks.subarray(0, count);
}
