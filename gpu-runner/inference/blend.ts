/**
 * One map from overlapping tiles, in bands of rows: memory is a band of floats, whatever the size of the image.
 *
 * A tile's weight is the product of one window per side: 1 in the middle, and over the least overlap a raised cosine
 * down to nearly 0, except where the tile ends with the image. Where tiles overlap by more, both weigh 1 in between.
 * Windows are divided by their sum at each coordinate; because the tiles form a grid, that makes the weights of all tiles
 * sum to 1 at each pixel.
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

/** The map of the whole image at another scale, and its weight against the tiles. */
export interface View {
  readonly probability: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly weight: number;
}

/** Steps of a level for which logits are at hand: what is lost by that is far below a level. */
const steps = 16;
/** A level of 0 stands for what rounds to it, and so for a quarter of one; 255 likewise. */
const least = 0.25;

const logits = Float32Array.from({ length: 255 * steps + 1 }, (_, i) => {
  const level = Math.min(Math.max(i / steps, least), 255 - least);
  return Math.log(level / (255 - level));
});

/**
 * Of a level from 0 to 255. Tiles and view are mixed by their logits: where they disagree, the one that is sure outweighs
 * the other.
 */
export const logitOf = (level: number) => logits[(level * steps + 0.5) | 0] ?? 0;

/** Steps of a logit for which levels are at hand: one is a two-hundred-and-fiftieth of a level at most. */
const logitSteps = 16384;
/** Where the logit of one half is. */
const middle = Math.ceil(-(logits[0] ?? 0) * logitSteps);
const levels = Uint8Array.from({ length: 2 * middle + 1 }, (_, i) =>
  Math.round(255 / (1 + Math.exp((middle - i) / logitSteps))),
);

/** The rounded level of a logit; none is above that of 255. */
export const levelOf = (logit: number) => levels[(logit * logitSteps + middle + 0.5) | 0] ?? 0;

/** What each of the 256 levels is with its logit moved by `by`: none passes those of 0 and 255. */
export const movedLevels = (by: number) =>
  Uint8Array.from({ length: 256 }, (_, level) =>
    levelOf(Math.min(Math.max(logitOf(level) + by, logitOf(0)), logitOf(255))),
  );

/** Takes tiles row by row and gives the finished map. */
export class Blender {
  readonly map: Uint8Array;
  readonly #width: number;
  readonly #height: number;
  readonly #grid: TileGrid;
  readonly #columnWindows: readonly Float32Array[];
  readonly #rowWindows: readonly Float32Array[];
  readonly #view: StretchedView | null;
  /** Weighted sums of the rows from `#bandTop` on, as wide as the image. */
  readonly #band: Float32Array;
  #bandTop = 0;

  constructor(size: { width: number; height: number }, grid: TileGrid, overlap: number, view: View | null) {
    this.#width = size.width;
    this.#height = size.height;
    this.#grid = grid;
    this.#columnWindows = normalisedWindows(grid.columns, grid.width, overlap);
    this.#rowWindows = normalisedWindows(grid.rows, grid.height, overlap);
    this.#view = view && new StretchedView(view, size.width, size.height);
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
    const band = this.#band;
    for (let y = 0; y < height; y++) {
      const weight = rowWindow[y] ?? 0;
      const from = y * this.#grid.width;
      const to = y * this.#width + left;
      for (let x = 0; x < width; x++) {
        band[to + x] = (band[to + x] ?? 0) + (probability[from + x] ?? 0) * (columnWindow[x] ?? 0) * weight;
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
    const { map } = this;
    const band = this.#band;
    const width = this.#width;
    const from = bandRow * width;
    const to = (this.#bandTop + bandRow) * width;
    const overlay = this.#view?.row(this.#bandTop + bandRow);
    const weight = this.#view?.weight ?? 0;
    if (overlay === undefined) for (let x = 0; x < width; x++) map[to + x] = Math.round(band[from + x] ?? 0);
    else {
      for (let x = 0; x < width; x++) {
        const logit = logitOf(band[from + x] ?? 0) * (1 - weight) + logitOf(overlay[x] ?? 0) * weight;
        map[to + x] = levelOf(logit);
      }
    }
  }
}

/** For each of `length` positions the two of `viewLength` it lies between, and how far it is from the first to the second. */
interface Stretch {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float32Array;
}

/** Bilinear: pixel centres at halves, edges clamped. */
function stretch(length: number, viewLength: number): Stretch {
  const exact = Float64Array.from({ length }, (_, i) =>
    Math.min(Math.max(((i + 0.5) * viewLength) / length - 0.5, 0), viewLength - 1),
  );
  const first = Int32Array.from(exact, Math.floor);
  return {
    first,
    second: first.map((position) => Math.min(position + 1, viewLength - 1)),
    share: Float32Array.from(exact, (position) => position - Math.floor(position)),
  };
}

/** A view stretched over the image, a row at a time; the buffers are one image's, not one row's. */
class StretchedView {
  readonly weight: number;
  readonly #view: View;
  readonly #across: Stretch;
  readonly #down: Stretch;
  /** A row of the view's width, between two of its rows. */
  readonly #between: Float32Array;
  readonly #row: Float32Array;

  constructor(view: View, width: number, height: number) {
    this.weight = view.weight;
    this.#view = view;
    this.#across = stretch(width, view.width);
    this.#down = stretch(height, view.height);
    this.#between = new Float32Array(view.width);
    this.#row = new Float32Array(width);
  }

  /** Row `y` of the image, 0 to 255; overwritten by the next call. */
  row(y: number): Float32Array {
    const { probability, width } = this.#view;
    const upper = (this.#down.first[y] ?? 0) * width;
    const lower = (this.#down.second[y] ?? 0) * width;
    const down = this.#down.share[y] ?? 0;
    const between = this.#between;
    for (let x = 0; x < width; x++) {
      between[x] = (probability[upper + x] ?? 0) * (1 - down) + (probability[lower + x] ?? 0) * down;
    }
    const { first, second, share } = this.#across;
    const row = this.#row;
    for (let x = 0; x < row.length; x++) {
      const along = share[x] ?? 0;
      row[x] = (between[first[x] ?? 0] ?? 0) * (1 - along) + (between[second[x] ?? 0] ?? 0) * along;
    }
    return row;
  }
}
