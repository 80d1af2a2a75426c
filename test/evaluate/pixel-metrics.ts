/**
 * Figures of one probability map against its mask. Both are 8 bit, so that two histograms of 256 levels hold all that
 * any threshold can tell: every figure here is exact.
 */

const levels = 256;
/** Half of 255, rounded up: probability 0.5, the threshold that the field reports. */
export const fixedThreshold = 128;

export interface PixelMetrics {
  /** At threshold 0.5. */
  f1: number;
  iou: number;
  /** At the threshold that suits this image best: what a map is worth to someone who can choose. */
  bestF1: number;
  bestIou: number;
  /** `null` where the mask covers nothing or everything: there is nothing to tell apart. */
  auc: number | null;
}

/** How many pixels have each level, inside and outside of the mask. */
export interface LevelCounts {
  manipulated: Float64Array;
  untouched: Float64Array;
}

export function countLevels(probability: Uint8Array, mask: Uint8Array): LevelCounts {
  if (probability.length !== mask.length) {
    throw new RangeError(`map of ${probability.length} pixels, mask of ${mask.length}`);
  }
  const manipulated = new Float64Array(levels);
  const untouched = new Float64Array(levels);
  for (const [i, level] of probability.entries()) {
    const counts = (mask[i] ?? 0) >= 128 ? manipulated : untouched;
    counts[level] = (counts[level] ?? 0) + 1;
  }
  return { manipulated, untouched };
}

export function pixelMetrics(counts: LevelCounts): PixelMetrics {
  const { manipulated, untouched } = counts;
  const positives = manipulated.reduce((sum, count) => sum + count, 0);
  const fixed = overlap(counts, fixedThreshold, positives);
  const best = { f1: 0, iou: 0 };
  // Threshold 0 calls every pixel manipulated: a figure of the mask's size, not of the map.
  for (let threshold = 1; threshold < levels; threshold++) {
    const { f1, iou } = overlap(counts, threshold, positives);
    best.f1 = Math.max(best.f1, f1);
    best.iou = Math.max(best.iou, iou);
  }
  return { ...fixed, bestF1: best.f1, bestIou: best.iou, auc: areaUnderCurve(manipulated, untouched) };
}

function overlap({ manipulated, untouched }: LevelCounts, threshold: number, positives: number) {
  const hits = manipulated.subarray(threshold).reduce((sum, count) => sum + count, 0);
  const falseAlarms = untouched.subarray(threshold).reduce((sum, count) => sum + count, 0);
  const misses = positives - hits;
  const union = hits + falseAlarms + misses;
  return { f1: union === 0 ? 0 : (2 * hits) / (hits + union), iou: union === 0 ? 0 : hits / union };
}

/** The probability that a manipulated pixel has the higher level than an untouched one; equal levels count half (Mann and Whitney). */
function areaUnderCurve(manipulated: Float64Array, untouched: Float64Array): number | null {
  let below = 0;
  let wins = 0;
  let positives = 0;
  for (const [level, count] of manipulated.entries()) {
    const rivals = untouched[level] ?? 0;
    wins += count * (below + rivals / 2);
    below += rivals;
    positives += count;
  }
  return positives === 0 || below === 0 ? null : wins / (positives * below);
}
