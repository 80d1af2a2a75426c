/** How two ways are compared on a machine that others use, too: in turns, A B B A, so that its moods meet both alike. */
import { loadavg } from "node:os";
import { type Interval, pairsInterval } from "../../evaluate/bootstrap.ts";

export interface Round {
  a: readonly number[];
  b: readonly number[];
}

/** Milliseconds of `rounds` rounds, each A B B A. */
export async function inTurns(rounds: number, a: () => Promise<unknown>, b: () => Promise<unknown>): Promise<Round[]> {
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = await timed(a);
    const others = [await timed(b), await timed(b)];
    measured.push({ a: [first, await timed(a)], b: others });
  }
  return measured;
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

const medianOf = (rounds: readonly Round[], side: "a" | "b") => median(rounds.flatMap((round) => round[side]));

export const p50 = (rounds: readonly Round[]) => ({ a: medianOf(rounds, "a"), b: medianOf(rounds, "b") });
export const ratio = (rounds: readonly Round[]) =>
  pairsInterval(rounds, (drawn) => medianOf(drawn, "a") / medianOf(drawn, "b"));
export const difference = (rounds: readonly Round[]) =>
  pairsInterval(rounds, (drawn) => medianOf(drawn, "a") - medianOf(drawn, "b"));

/** As `1.83 [1.71, 1.96]`. */
export function words(interval: Interval | null, digits: number): string {
  if (interval === null) return "not measured";
  const [mean, low, high] = [interval.mean, interval.low, interval.high].map((value) => value.toFixed(digits));
  return `${mean} [${low}, ${high}]`;
}

/** Processes that wanted a core in the last minute: what a figure has to be read with. */
export const load = () => loadavg()[0]?.toFixed(1) ?? "?";
