/** Figures of the image score: how well it tells tampered images from authentic ones. */

/** The probability that a tampered image has the higher score than an authentic one; ties count half. Both are some. */
export function scoreAuc(tampered: readonly number[], authentic: readonly number[]): number {
  let wins = 0;
  for (const score of tampered) {
    for (const rival of authentic) wins += score > rival ? 1 : score === rival ? 0.5 : 0;
  }
  return wins / (tampered.length * authentic.length);
}

/**
 * The largest share of tampered images found at a threshold at which at most `limit` of the authentic ones are called
 * tampered, and the score of the last one found.
 */
export function truePositiveRate(
  tampered: readonly number[],
  authentic: readonly number[],
  limit: number,
): { rate: number; threshold: number } {
  const falling = [...authentic].sort((a, b) => b - a);
  const tooMany = falling[Math.floor(limit * authentic.length + 1e-9)] ?? Number.NEGATIVE_INFINITY;
  const found = tampered.filter((score) => score > tooMany);
  return { rate: found.length / tampered.length, threshold: Math.min(...found) };
}

/** The share of pairs (tampered, its own original) in which the tampered one has the higher score; ties count half. */
export function pairsWon(pairs: readonly (readonly [tampered: number, authentic: number])[]): number {
  return pairs.reduce((sum, [t, a]) => sum + (t > a ? 1 : t === a ? 0.5 : 0), 0) / pairs.length;
}
