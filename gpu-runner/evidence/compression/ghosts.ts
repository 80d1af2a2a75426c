/**
 * JPEG ghosts (Farid 2009): where a part of a picture was once saved as a JPEG, its coefficients still lie near the
 * multiples of that quality's steps, on the grid of that time. Measured on the coefficients, for every grid and quality.
 */
import { libjpegTable } from "../../image/jpeg.ts";
import type { Plane } from "../plane.ts";
import { type BlockGrid, blockCoefficients, gridOf, lowFrequencies } from "./dct.ts";

export const ghostQualities: readonly number[] = Array.from({ length: 21 }, (_, i) => 32 + 3 * i);

/** Steps as small as the noise of rounding to whole pixels cannot be told from none. */
const leastStep = 3;
/** Coefficients beyond half a step that a quality needs to be tried. */
const fewestTried = 70;
/** Blocks that each of the 64 grids is tried on, and those that the most promising grids are measured on. */
const triedBlocks = 100;
const measuredBlocks = 300;
/** Blocks in which a ghost of other ones is looked for. */
const comparedBlocks = 1500;
const promising = 6;

/** A cosine's period in 1024 steps: this is where the time goes. */
const cosines = Float64Array.from({ length: 1024 }, (_, i) => Math.cos((2 * Math.PI * (i + 0.5)) / 1024));

const tables = new Map(ghostQualities.map((quality) => [quality, libjpegTable(quality)]));

/** What is measured of some blocks of a grid. */
interface Magnitudes {
  readonly offset: readonly [x: number, y: number];
  /** Of each of `lowFrequencies` the blocks' coefficients that some quality can be judged by, without their signs. */
  readonly byFrequency: readonly Float32Array[];
}

/**
 * How closely coefficients lie at multiples of a quality's steps: 1 on them, 0 anywhere. NaN where fewer than `fewest` are
 * large enough to tell.
 */
function ghostAt({ byFrequency }: Magnitudes, quality: number, fewest: number): number {
  const table = tables.get(quality) ?? libjpegTable(quality);
  let sum = 0;
  let count = 0;
  byFrequency.forEach((magnitudes, f) => {
    const step = table[lowFrequencies[f] ?? 0] ?? 1;
    if (step < leastStep) return;
    const scale = 1024 / step;
    for (let i = 0; i < magnitudes.length; i++) {
      const value = magnitudes[i] ?? 0;
      if (value < 0.5 * step || value > 12 * step) continue;
      sum += cosines[(value * scale) & 1023] ?? 0;
      count++;
    }
  });
  return count < fewest ? Number.NaN : sum / count;
}

export interface Ghost {
  readonly offset: readonly [x: number, y: number];
  readonly quality: number;
  /** By how much the coefficients lie at the multiples of this quality more than at those of others. */
  readonly depth: number;
}

/** The quality that stands out most on one grid. Neighbours of it stand out a little as well and measure no rest. */
function strongestOf(magnitudes: Magnitudes, below: number, fewest: number): Ghost | null {
  const spectrum = ghostQualities.map((quality) => ghostAt(magnitudes, quality, fewest));
  let best = -1;
  spectrum.forEach((value, i) => {
    if ((ghostQualities[i] ?? 0) >= below || Number.isNaN(value)) return;
    if (best < 0 || value > (spectrum[best] ?? 0)) best = i;
  });
  if (best < 0) return null;
  const others = spectrum.filter((value, i) => !Number.isNaN(value) && Math.abs(i - best) > 2).sort((a, b) => a - b);
  if (others.length < 4) return null;
  const rest = Math.max(0, others[others.length >> 1] ?? 0);
  return { offset: magnitudes.offset, quality: ghostQualities[best] ?? 0, depth: (spectrum[best] ?? 0) - rest };
}

/** Blocks of a grid that may be looked at, as their indexes row by row. */
export type ChooseBlocks = (grid: BlockGrid) => Int32Array;

export interface GhostSearch {
  /** Qualities from here on are not looked for: those of the present compression and finer ones. */
  readonly below: number;
  /** The grid of the present compression, which shows nothing but that. */
  readonly present: boolean;
  /** Coefficients without which a quality is not judged. */
  readonly fewest: number;
}

/** The strongest ghost on any of the 64 grids. */
export function findGhost(plane: Plane, choose: ChooseBlocks, { below, present, fewest }: GhostSearch): Ghost | null {
  const ghostOn = (offset: Ghost["offset"], most: number, least: number) =>
    strongestOf(magnitudesOf(plane, offset, choose, most), below, least);
  const strongestFirst = (ghosts: readonly (Ghost | null)[]) =>
    ghosts.filter((ghost) => ghost !== null).toSorted((a, b) => b.depth - a.depth);
  const offsets = Array.from({ length: 64 }, (_, phase): Ghost["offset"] => [phase & 7, phase >> 3]);
  const tried = offsets.slice(present ? 1 : 0).map((offset) => ghostOn(offset, triedBlocks, fewestTried));
  const candidates = strongestFirst(tried).slice(0, promising);
  return strongestFirst(candidates.map(({ offset }) => ghostOn(offset, measuredBlocks, fewest)))[0] ?? null;
}

/** How closely other blocks lie at the multiples of a ghost's steps, on its grid; NaN where too few are large enough. */
export function strengthElsewhere(plane: Plane, choose: ChooseBlocks, ghost: Ghost, fewest: number): number {
  return ghostAt(magnitudesOf(plane, ghost.offset, choose, comparedBlocks), ghost.quality, fewest);
}

/** The coefficients of at most `most` blocks of a grid, spread over all that may be looked at. */
function magnitudesOf(
  plane: Plane,
  offset: readonly [x: number, y: number],
  choose: ChooseBlocks,
  most: number,
): Magnitudes {
  const grid = gridOf(plane, offset);
  const chosen = choose(grid);
  const count = Math.min(most, chosen.length);
  const strip = new Float32Array(count * 64);
  for (let i = 0; i < count; i++) {
    const block = chosen[Math.floor((i * chosen.length) / count)] ?? 0;
    const x = offset[0] + (block % grid.columns) * 8;
    const y = offset[1] + Math.floor(block / grid.columns) * 8;
    for (let row = 0; row < 8; row++) {
      const from = (y + row) * plane.width + x;
      strip.set(plane.data.subarray(from, from + 8), row * count * 8 + i * 8);
    }
  }
  const { values } = blockCoefficients({ data: strip, width: count * 8, height: 8 }, [0, 0]);
  const perBlock = lowFrequencies.length;
  const byFrequency = lowFrequencies.map((_, f) => {
    const magnitudes = new Float32Array(count);
    let kept = 0;
    for (let at = f; at < values.length; at += perBlock) {
      const value = Math.abs(values[at] ?? 0);
      if (value >= 0.5 * leastStep) magnitudes[kept++] = value;
    }
    return magnitudes.subarray(0, kept);
  });
  return { offset, byFrequency };
}
