/** What is asked of the interpretation network and what it answers, apart from who runs it. */
import type { Views } from "./views.ts";

/** Views and facts of some regions. */
export interface Shown extends Views {
  readonly count: number;
  /** float32 [count, 11], as the contract lists them. */
  readonly facts: Float32Array;
}

/** What the network says of one region. */
export interface Reading {
  /** Probabilities in the order of the manifest's `kinds`; they sum to 1. */
  readonly kinds: readonly number[];
  /** Probabilities in the order of the manifest's `artifacts`. */
  readonly artifacts: readonly number[];
  /** Probability that the region was manipulated at all. */
  readonly confirmed: number;
}

export interface Interpreter {
  read(shown: Shown): Promise<readonly Reading[]>;
}

export const factCount = 11;
