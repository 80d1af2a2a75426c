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
  const mean = (sample: readonly number[]) => sample.reduce((sum, value) => sum + value, 0) / sample.length;
  const drawn = draw((pick) => mean(pick(values)));
  return { mean: mean(values), low: percentile(drawn, 0.025), high: percentile(drawn, 0.975) };
}

/** The same for a figure of two groups of which each is drawn anew; `null` where a group is empty. */
export function groupsInterval(
  first: readonly number[],
  second: readonly number[],
  figure: (first: readonly number[], second: readonly number[]) => number,
): Interval | null {
  if (first.length === 0 || second.length === 0) return null;
  const drawn = draw((pick) => figure(pick(first), pick(second)));
  return { mean: figure(first, second), low: percentile(drawn, 0.025), high: percentile(drawn, 0.975) };
}

/** The same for a figure of pairs, drawn as pairs. */
export function pairsInterval<Pair>(
  pairs: readonly Pair[],
  figure: (pairs: readonly Pair[]) => number,
): Interval | null {
  if (pairs.length === 0) return null;
  const drawn = draw((pick) => figure(pick(pairs)));
  return { mean: figure(pairs), low: percentile(drawn, 0.025), high: percentile(drawn, 0.975) };
}

type Pick = <Item>(items: readonly Item[]) => Item[];

/** The statistic of 2,000 draws, sorted. */
function draw(statistic: (pick: Pick) => number): number[] {
  const random = mulberry32(seed);
  const pick: Pick = (items) =>
    items.flatMap(() => {
      const item = items[Math.floor(random() * items.length)];
      return item === undefined ? [] : [item];
    });
  return Array.from({ length: draws }, () => statistic(pick)).sort((a, b) => a - b);
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
