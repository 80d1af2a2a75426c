/** One analysis's findings while they come in. */

import { messageOf } from "@omni-iml/shared/message-of";
import { degradationWords, evidenceWords } from "../wording/en-checks.ts";
import {
  type CheckName,
  type Degradation,
  type DegradedCheck,
  type Evidence,
  type EvidenceCode,
  type EvidenceDetails,
  evidenceCodes,
} from "./codes.ts";
import { OutOfTime, ThreadLost } from "./threads.ts";

/** How a check says what it found. */
export type State = <Code extends EvidenceCode>(code: Code, details: EvidenceDetails[Code]) => void;

const order = Object.keys(evidenceCodes);

export class Findings {
  readonly degraded: DegradedCheck[] = [];
  readonly #evidence: Evidence[] = [];
  readonly #signal: AbortSignal;

  /** @param signal aborted where nobody waits for the analysis any more */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  readonly state: State = (code, details) => {
    const { summary, meaning, next } = evidenceWords[code](details);
    this.#evidence.push({ code, ...evidenceCodes[code], summary, meaning, next_step: next, details });
  };

  /** In the order of the list of codes, so that the same file has the same answer whichever check was done first. */
  get evidence(): Evidence[] {
    return this.#evidence.toSorted((a, b) => order.indexOf(a.code) - order.indexOf(b.code));
  }

  degrade(check: CheckName, degradation: Degradation): void {
    const reason = degradationWords(check, degradation);
    // A busy machine may have more time, or memory, later; what failed otherwise is the file's doing.
    const retryable = degradation.reason === "out_of_time" || degradation.reason === "thread_lost";
    this.degraded.push({ check, reason, ...(retryable && { retryable }) });
  }

  /**
   * What a check gives, or null, and then it is listed as degraded with the reason.
   *
   * @throws the signal's reason, and nothing else
   */
  async attempt<Result>(check: CheckName, work: () => Promise<Result>): Promise<Result | null> {
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof OutOfTime) {
        this.degrade(check, { reason: "out_of_time", milliseconds: error.milliseconds });
      } else {
        const text = messageOf(error);
        const reason = error instanceof ThreadLost ? "thread_lost" : "failed";
        this.degrade(check, { reason, error: text.slice(0, 300) });
      }
      return null;
    }
  }
}
