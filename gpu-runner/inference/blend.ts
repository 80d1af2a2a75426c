/**
 * One map from overlapping tiles, in bands of rows: memory is a band of floats, whatever the size of the image.
 *
 * A tile's weight is the product of one window per side: 1 in the middle, and over the planned overlap a raised cosine
 * down to nearly 0, except where the tile ends with the image. Windows are divided by their sum at each coordinate;
 * because the tiles form a grid, that makes the weights of all tiles sum to 1 at each pixel.
 */
import type { TileGrid } from "./tiler.ts";

/** For each origin, the weights along the tile, of which those at one coordinate sum to 1 over all origins. */
export function normalisedWindows(origins: readonly number[], tile: number, overlap: number): Float32Array[] {
  const windows = origins.map((_, index) =>
    Float32Array.from({ length: tile }, (_, i) => {
      const fromStart = index === 0 ? overlap : i;
      const fromEnd = index === origins.length - 1 ? overlap : tile - 1 - i;
      const nearest = Math.min(fromStart, fromEnd);
      return nearest >= overlap ? 1 : 0.5 - 0.5 * Math.cos((Math.PI * (nearest + 0.5)) / overlap);
    }),
  );
  const sums = new Float32Array((origins.at(-1) ?? 0) + tile);
  origins.forEach((origin, index) => {
    windows[index]?.forEach((weight, i) => {
      sums[origin + i] = (sums[origin + i] ?? 0) + weight;
    });
  });
  return origins.map((origin, index) =>
    (windows[index] ?? new Float32Array()).map((w, i) => w / (sums[origin + i] ?? 1)),
  );
}

/** A small map that is laid over the whole image, and its weight against the tiles. */
export interface View {
  readonly probability: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly weight: number;
}

/** Takes tiles row by row and gives the finished map. */
export class Blender {
  readonly map: Uint8Array;
  readonly #width: number;
  readonly #height: number;
  readonly #grid: TileGrid;
  readonly #columnWindows: readonly Float32Array[];
  readonly #rowWindows: readonly Float32Array[];
  readonly #view: View | null;
  /** Weighted sums of the rows from `#bandTop` on, as wide as the image. */
  readonly #band: Float32Array;
  #bandTop = 0;

  constructor(size: { width: number; height: number }, grid: TileGrid, overlap: number, view: View | null) {
    this.#width = size.width;
    this.#height = size.height;
    this.#grid = grid;
    this.#columnWindows = normalisedWindows(grid.columns, grid.width, overlap);
    this.#rowWindows = normalisedWindows(grid.rows, grid.height, overlap);
    this.#view = view;
    this.#band = new Float32Array(size.width * grid.height);
    this.map = new Uint8Array(size.width * size.height);
  }

  /** Adds the tile in `column` of `row`; rows come in order, and each ends with `finishRow`. */
  add(row: number, column: number, probability: Uint8Array): void {
    const left = this.#grid.columns[column] ?? 0;
    const columnWindow = this.#columnWindows[column] ?? new Float32Array();
    const rowWindow = this.#rowWindows[row] ?? new Float32Array();
    const width = Math.min(this.#grid.width, this.#width - left);
    const height = Math.min(this.#grid.height, this.#height - this.#bandTop);
    for (let y = 0; y < height; y++) {
      const weight = rowWindow[y] ?? 0;
      const from = y * this.#grid.width;
      const to = y * this.#width + left;
      for (let x = 0; x < width; x++) {
        this.#band[to + x] = (this.#band[to + x] ?? 0) + (probability[from + x] ?? 0) * (columnWindow[x] ?? 0) * weight;
      }
    }
  }

  /** All tiles of `row` are in: rows above the next one's origin are final. */
  finishRow(row: number): void {
    const next = this.#grid.rows[row + 1];
    const final = Math.min(next ?? this.#height, this.#height) - this.#bandTop;
    for (let y = 0; y < final; y++) this.#write(y);
    if (next === undefined) return;
    this.#band.copyWithin(0, final * this.#width);
    this.#band.fill(0, this.#band.length - final * this.#width);
    this.#bandTop = next;
  }

  #write(bandRow: number): void {
    const from = bandRow * this.#width;
    const to = (this.#bandTop + bandRow) * this.#width;
    const overlay =
      this.#view === null ? null : viewRow(this.#view, this.#bandTop + bandRow, this.#width, this.#height);
    const weight = this.#view?.weight ?? 0;
    for (let x = 0; x < this.#width; x++) {
      const tiles = this.#band[from + x] ?? 0;
      const value = overlay === null ? tiles : tiles * (1 - weight) + (overlay[x] ?? 0) * weight;
      this.map[to + x] = Math.round(value);
    }
  }
}

/** One row of the view stretched to `width` × `height`: bilinear, pixel centres at halves, edges clamped. */
function viewRow(view: View, y: number, width: number, height: number): Float32Array {
  const [above, below, down] = neighbours(y, height, view.height);
  const row = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const [left, right, along] = neighbours(x, width, view.width);
    const at = (py: number, px: number) => view.probability[py * view.width + px] ?? 0;
    const upper = at(above, left) * (1 - along) + at(above, right) * along;
    const lower = at(below, left) * (1 - along) + at(below, right) * along;
    row[x] = upper * (1 - down) + lower * down;
  }
  return row;
}

function neighbours(position: number, length: number, viewLength: number): [number, number, number] {
  const exact = Math.min(Math.max(((position + 0.5) * viewLength) / length - 0.5, 0), viewLength - 1);
  const first = Math.floor(exact);
  return [first, Math.min(first + 1, viewLength - 1), exact - first];
}
