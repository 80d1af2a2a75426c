/** Bootstrap intervals, the same on every run. */

const draws = 2000;
const seed = 20261123;

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/**
 * The mean with its 95 % interval: means of 2,000 samples drawn with replacement, from the 2.5th to the 97.5th
 * percentile. Give differences of two methods on the same images, and the interval is the paired one.
 */
export function meanInterval(values: readonly number[]): Interval | null {
  if (values.length === 0) return null;
  const random = mulberry32(seed);
  const means = Array.from({ length: draws }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)] ?? 0;
    return sum / values.length;
  }).sort((a, b) => a - b);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, low: percentile(means, 0.025), high: percentile(means, 0.975) };
}

function percentile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** T. Ettinger's 32-bit generator: small, and its state is one number. */
function mulberry32(state: number): () => number {
  let current = state;
  return () => {
    current = (current + 0x6d2b79f5) | 0;
    let mixed = Math.imul(current ^ (current >>> 15), 1 | current);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
