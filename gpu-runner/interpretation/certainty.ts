/** From a calibrated probability to a word of the closed set. */
import type { Certainty } from "@omni-iml/shared/analysis";

const from: readonly (readonly [number, Certainty])[] = [
  [0.95, "almost_certain"],
  [0.8, "very_likely"],
  [0.6, "likely"],
  [0.4, "uncertain"],
];

export function certaintyOf(probability: number): Certainty {
  return from.find(([least]) => probability >= least)?.[1] ?? "unlikely";
}
