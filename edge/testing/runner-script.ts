/** What a test can make the fake runner do with one call. */
import type { Finding } from "@omni-iml/shared/analysis";
import type { ProblemDocument } from "@omni-iml/shared/problems";

export type RunnerStep =
  | { kind: "succeed"; finding?: Partial<Finding> }
  /** Stays alive until the test opens the gate, then succeeds. */
  | { kind: "hold"; finding?: Partial<Finding> }
  /** A first line, then nothing more. */
  | { kind: "silent" }
  /** Breaks off within a line. */
  | { kind: "crash" }
  /** A problem as the last line. */
  | { kind: "problem"; problem: ProblemDocument }
  /** A problem instead of a stream. */
  | { kind: "refuse"; problem: ProblemDocument; retryAfter?: number };
