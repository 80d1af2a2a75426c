/** Ratios of what was measured side by side in one run: the only figures of a busy machine that mean something. */
import { meanInterval } from "../evaluate/bootstrap.ts";

export interface Ratio {
  readonly ratio: number;
  /** 95 % interval over the rounds; both ends are the ratio itself where there was one round. */
  readonly low: number;
  readonly high: number;
}

/** Geometric mean of the rounds' ratios: half and twice as much cancel out. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Ratio {
  const interval = meanInterval(ours.map((value, round) => Math.log(value / (theirs[round] ?? Number.NaN))));
  if (interval === null) throw new Error("there is no round to compare");
  return { ratio: Math.exp(interval.mean), low: Math.exp(interval.low), high: Math.exp(interval.high) };
}

export function inWords({ ratio, low, high }: Ratio): string {
  return `${ratio.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

/** The contenders of a round: in turn forwards and backwards (A B B A), so that a drift of the machine hits all alike. */
export function inTurns<Contender>(contenders: readonly Contender[], round: number): readonly Contender[] {
  return round % 2 === 0 ? contenders : [...contenders].reverse();
}

/** The value below which `share` of the values lie, between two of them where none is exact. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
