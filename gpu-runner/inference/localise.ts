/** From a decoded image to one probability map: tiles, modality, view, blending. The policy is the manifest's. */
import { domains } from "@omni-iml/shared/analysis";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import type { DecodedImage } from "../image/decode.ts";
import { noTable } from "../image/decode.ts";
import type { GreyMap } from "../image/encode.ts";
import { type CopiedPlaces, raiseCopies } from "../result/copies.ts";
import { raiseFloor, subdueEchoes } from "../result/prominence.ts";
import type { TileResult, TileRunner } from "./batcher.ts";
import { Blender, type View } from "./blend.ts";
import { gateDecides, type ModalityOverride, useFused, useRgb } from "./session.ts";
import { cutTile, evenlySpread, mirror, type TileGrid, tileGrid, viewOf, viewScale } from "./tiler.ts";

export interface Localisation {
  /** On the stored grid, of the image's stored size. */
  readonly map: GreyMap;
  readonly modality: "rgb" | "fused";
  /** The network's own image score, of each tile. */
  readonly networkScores: readonly number[];
  /** The same of the view of the whole image; null where the release has none. */
  readonly viewScore: number | null;
  /** Mean over the tiles, in the order of `domains`. */
  readonly domain: readonly number[];
}

export interface Watch {
  readonly signal: AbortSignal;
  /** 0 to 1. */
  progress(done: number): void;
}

type Pipeline = ReleaseManifest["pipeline"];

/**
 * Where something was copied inside the image, by its domain in the order of `domains`; null where that is not looked for
 * or could not be found out.
 */
export type CopiesOf = (domain: readonly number[]) => Promise<CopiedPlaces | null>;

const noCopies: CopiesOf = async () => null;

/** From which mean gate the frequency traces are used; the graph itself takes the same half. */
const gateMiddle = 0.5;
/** Tiles of a row that are cut out at a time: more than a batch, and a strip of a hundred megapixels has thousands. */
const tilesAhead = 32;

export async function localise(
  image: DecodedImage,
  pipeline: Pipeline,
  batcher: TileRunner,
  watch: Watch,
  copiesOf = noCopies,
): Promise<Localisation> {
  const grid = tileGrid(image, pipeline);
  const tiles = grid.columns.length * grid.rows.length;
  // Side by side: where sessions are free, a small image's tile and its view run at the same time.
  const [first, seen] = await Promise.all([
    decideModality(image, grid, pipeline, batcher, watch.signal),
    viewMap(image, pipeline.view, batcher, watch.signal),
  ]);
  const view = seen && { ...seen, weight: viewWeight(pipeline.view, first.domain) };
  const blender = new Blender(image, grid, pipeline.overlap, view);
  const networkScores: number[] = [];
  const domain = domains.map(() => 0);
  let finished = 0;
  const run = async (index: number) => {
    const answered = first.reusable.get(index);
    const result = answered ?? (await runTile(image, grid, index, first.override, batcher, watch.signal));
    watch.progress(++finished / tiles);
    return result;
  };
  for (let row = 0; row < grid.rows.length; row++) {
    const start = row * grid.columns.length;
    // Added in their order, whichever is answered first: sums of floats are then the same every time.
    for await (const [column, result] of inOrder(grid.columns.length, (index) => run(start + index))) {
      blender.add(row, column, result.probability);
      networkScores.push(result.score);
      result.domain.forEach((probability, i) => {
        domain[i] = (domain[i] ?? 0) + probability / tiles;
      });
    }
    blender.finishRow(row);
  }
  const map = { data: blender.map, width: image.width, height: image.height };
  const copies = pipeline.copies && (await copiesOf(domain));
  if (pipeline.copies && copies) raiseCopies(map, copies, pipeline.copies);
  if (pipeline.relative_floor) raiseFloor(map, pipeline.relative_floor);
  if (pipeline.least_prominence) subdueEchoes(map, pipeline.least_prominence);
  return {
    map,
    modality: first.override === useFused ? "fused" : "rgb",
    networkScores,
    viewScore: view?.score ?? null,
    domain,
  };
}

/** Results of `count` works in their order, of which at most `tilesAhead` are begun and not taken yet. */
async function* inOrder<Result>(count: number, work: (index: number) => Promise<Result>) {
  const begun: Promise<Result>[] = [];
  for (let index = 0, next = 0; index < count; index++) {
    for (; next < Math.min(count, index + tilesAhead); next++) {
      const result = work(next);
      // Whoever takes it hears of its failure; where an earlier one has failed, nobody does.
      result.catch(() => undefined);
      begun.push(result);
    }
    const first = begun.shift();
    if (first === undefined) throw new Error(`work ${index} was not begun`);
    yield [index, await first] as const;
  }
}

async function runTile(
  image: DecodedImage,
  grid: TileGrid,
  index: number,
  modalityOverride: ModalityOverride,
  batcher: TileRunner,
  signal: AbortSignal,
): Promise<TileResult> {
  signal.throwIfAborted();
  const x = grid.columns[index % grid.columns.length] ?? 0;
  const y = grid.rows[Math.floor(index / grid.columns.length)] ?? 0;
  const pixels = cutTile(image, grid, x, y);
  const { width, height } = grid;
  return batcher.run({ pixels, width, height, qtable: image.qtable, jpeg: image.jpeg, modalityOverride }, signal);
}

/**
 * One modality for the whole image, by the mean gate of a few tiles: a seam between modalities would look like a forgery.
 *
 * A tile whose own gate agrees with the decision has been answered already and need not run again.
 */
async function decideModality(
  image: DecodedImage,
  grid: TileGrid,
  pipeline: Pipeline,
  batcher: TileRunner,
  signal: AbortSignal,
): Promise<{ override: ModalityOverride; domain: readonly number[]; reusable: ReadonlyMap<number, TileResult> }> {
  const indexes = evenlySpread(pipeline.gate_tiles, grid.columns.length * grid.rows.length);
  const answered = await Promise.all(
    indexes.map(async (index) => [index, await runTile(image, grid, index, gateDecides, batcher, signal)] as const),
  );
  const fused = (gate: number) => gate > gateMiddle;
  const meanOf = (value: (result: TileResult) => number) =>
    answered.reduce((sum, [, result]) => sum + value(result), 0) / answered.length;
  const decision = fused(meanOf(({ gate }) => gate));
  return {
    override: decision ? useFused : useRgb,
    domain: domains.map((_, i) => meanOf(({ domain }) => domain[i] ?? 0)),
    reusable: new Map(answered.filter(([, { gate }]) => fused(gate) === decision)),
  };
}

/** How much the view counts depends on the domain: scenes and faces are understood from afar, letters are not. */
function viewWeight({ weights }: Pipeline["view"], domain: readonly number[]): number {
  return weights.reduce((sum, one, i) => sum + one * (domain[i] ?? 0), 0);
}

/** The whole image at another scale: no lattice survives resampling, so it is judged by its colours alone. */
async function viewMap(
  image: DecodedImage,
  { weights, mirrored = false, ...sizes }: Pipeline["view"],
  batcher: TileRunner,
  signal: AbortSignal,
): Promise<(Omit<View, "weight"> & { score: number }) | null> {
  if (weights.every((weight) => weight === 0)) return null;
  const { pixels, width, height } = await viewOf(image, viewScale(image, sizes), mirrored);
  const tile = { pixels, width, height, qtable: noTable, jpeg: false, modalityOverride: useRgb };
  const { probability, score } = await batcher.run(tile, signal);
  return { probability: mirrored ? mirror(probability, width) : probability, width, height, score };
}
