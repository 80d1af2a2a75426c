/**
 * Double compression: the quality of the JPEG that was opened before this one was saved.
 *
 * Quantizing with one step and then with another leaves a comb in the histogram of each coefficient (Lukáš and Fridrich
 * 2003). What the histogram would look like after one compression, and after an earlier one at every quality, is simulated
 * from the same picture shifted by half a block, where the grid's traces are gone; the nearest simulation wins.
 */
import { libjpegTable } from "../../image/jpeg.ts";
import { type BlockCoefficients, lowFrequencies } from "./dct.ts";

/** Of the histogram: indexes −20 to 20, the rest at the ends. */
const widest = 20;
const bins = 2 * widest + 1;
/** Blocks that a histogram is made of; more change nothing. */
const mostBlocks = 4000;
export const candidateQualities: readonly number[] = Array.from({ length: 66 }, (_, i) => 33 + i);

export interface CompressionHistory {
  /** The likeliest libjpeg quality of an earlier compression, whether or not it is believed. */
  readonly quality: number;
  /** Nats by which a coefficient fits that earlier compression better than none. */
  readonly gain: number;
  /** The same for each of `candidateQualities`. */
  readonly gains: readonly number[];
  readonly blocks: number;
}

/** Rounding to whole pixels between the two compressions, as noise of the coefficients: its deviation is √(1/12). */
const noise = new Float32Array(4096);
for (let i = 0, state = 1; i < noise.length; i++) {
  let sum = -2;
  for (let k = 0; k < 4; k++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    sum += state / 0x7fffffff;
  }
  noise[i] = sum * 0.5;
}

function spread(blocks: Int32Array): Int32Array {
  if (blocks.length <= mostBlocks) return blocks;
  const step = blocks.length / mostBlocks;
  return Int32Array.from({ length: mostBlocks }, (_, i) => blocks[Math.floor(i * step)] ?? 0);
}

function clampIndex(index: number): number {
  return Math.min(bins - 1, Math.max(0, index + widest));
}

/** The mean divergence of the observed histogram from a simulated one, in nats a coefficient. */
function divergence(observed: Float64Array, simulated: Float64Array, total: number): number {
  let sum = 0;
  for (let i = 0; i < bins; i++) {
    const p = (observed[i] ?? 0) / total;
    if (p === 0) continue;
    // Half a count in every bin: a simulation of finite size must not call the unseen impossible.
    const q = ((simulated[i] ?? 0) + 0.5) / (total + 0.5 * bins);
    sum += p * Math.log(p / q);
  }
  return sum;
}

/**
 * @param aligned on the JPEG's grid
 * @param shifted on a grid half a block away; `shiftedBlocks` cover the same part of the picture
 * @param fewest blocks without which the histograms say nothing
 * @returns null where there are fewer
 */
export function compressionHistory(
  aligned: BlockCoefficients,
  alignedBlocks: Int32Array,
  shifted: BlockCoefficients,
  shiftedBlocks: Int32Array,
  table: Int32Array,
  present: number,
  fewest: number,
): CompressionHistory | null {
  if (Math.min(alignedBlocks.length, shiftedBlocks.length) < fewest) return null;
  const observedBlocks = spread(alignedBlocks);
  const modelBlocks = spread(shiftedBlocks);
  const perBlock = lowFrequencies.length;
  const observed = new Float64Array(bins);
  const simulated = new Float64Array(bins);
  const single = { fit: 0, weight: 0 };
  const doubled = new Float64Array(candidateQualities.length);
  const tables = candidateQualities.map((quality) => libjpegTable(quality));
  // Nine frequencies: the higher ones are almost always zero.
  for (let f = 0; f < 9; f++) {
    const position = lowFrequencies[f] ?? 0;
    const step = table[position] ?? 1;
    observed.fill(0);
    for (const block of observedBlocks) {
      const index = clampIndex(Math.round((aligned.values[block * perBlock + f] ?? 0) / step));
      observed[index] = (observed[index] ?? 0) + 1;
    }
    // A histogram with nearly everything at zero cannot tell any history.
    if ((observed[widest] ?? 0) > 0.97 * observedBlocks.length) continue;
    const model = Float32Array.from(modelBlocks, (block) => shifted.values[block * perBlock + f] ?? 0);
    const share = observedBlocks.length / modelBlocks.length;
    const simulate = (earlier: number) => {
      simulated.fill(0);
      for (let i = 0; i < model.length; i++) {
        const value = model[i] ?? 0;
        const before = earlier === 0 ? value : Math.floor(value / earlier + 0.5) * earlier;
        const index = clampIndex(Math.floor((before + (noise[(i * 31 + f) & 4095] ?? 0)) / step + 0.5));
        simulated[index] = (simulated[index] ?? 0) + share;
      }
      return divergence(observed, simulated, observedBlocks.length);
    };
    single.fit += simulate(0);
    single.weight++;
    const known = new Map<number, number>();
    tables.forEach((earlierTable, i) => {
      const earlier = earlierTable[position] ?? 1;
      const fit = known.get(earlier) ?? simulate(earlier);
      known.set(earlier, fit);
      doubled[i] = (doubled[i] ?? 0) + fit;
    });
  }
  if (single.weight < 3) return null;
  const gains = Array.from(doubled, (fit) => (single.fit - fit) / single.weight);
  let best = -1;
  candidateQualities.forEach((quality, i) => {
    if (Math.abs(quality - present) <= 1) return;
    if (best < 0 || (gains[i] ?? 0) > (gains[best] ?? 0)) best = i;
  });
  return { quality: candidateQualities[best] ?? 0, gain: gains[best] ?? 0, gains, blocks: observedBlocks.length };
}
