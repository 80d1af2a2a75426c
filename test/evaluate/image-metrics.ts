/** Figures of the image score: how well it tells tampered images from authentic ones. */

/** The probability that a tampered image has the higher score than an authentic one; ties count half. */
export function scoreAuc(tampered: readonly number[], authentic: readonly number[]): number | null {
  if (tampered.length === 0 || authentic.length === 0) return null;
  let wins = 0;
  for (const score of tampered) {
    for (const rival of authentic) wins += score > rival ? 1 : score === rival ? 0.5 : 0;
  }
  return wins / (tampered.length * authentic.length);
}

/** The largest share of tampered images found at a threshold at which at most `limit` of the authentic ones are called tampered. */
export function truePositiveRate(
  tampered: readonly number[],
  authentic: readonly number[],
  limit: number,
): { rate: number; threshold: number } | null {
  if (tampered.length === 0 || authentic.length === 0) return null;
  let best = { rate: 0, threshold: Number.POSITIVE_INFINITY };
  for (const threshold of tampered) {
    const falseAlarms = authentic.filter((score) => score >= threshold).length / authentic.length;
    const rate = tampered.filter((score) => score >= threshold).length / tampered.length;
    if (falseAlarms <= limit && rate > best.rate) best = { rate, threshold };
  }
  return best;
}

/** The share of pairs (tampered, its own original) in which the tampered one has the higher score; ties count half. */
export function pairsWon(pairs: readonly (readonly [tampered: number, authentic: number])[]): number | null {
  if (pairs.length === 0) return null;
  return pairs.reduce((sum, [t, a]) => sum + (t > a ? 1 : t === a ? 0.5 : 0), 0) / pairs.length;
}
