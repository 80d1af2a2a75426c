/**
 * Requests that were taken on already. A signature is good for some minutes, and whoever saw a signed request could
 * send it again as often as they like: each would cost a run of the model.
 */
import { createHash } from "node:crypto";
import { signatureTolerance } from "@omni-iml/shared/signature";

/** Milliseconds after which a timestamp alone refuses a request: it may lie ahead as far as behind. */
const remembered = 2 * signatureTolerance * 1000;

export class TakenRequests {
  /** When each may be forgotten, oldest first. */
  readonly #until = new Map<string, number>();

  /**
   * Notes a request by what is signed of it. Answers with a way to forget it, should it be given back untouched, or
   * with null where it was taken before.
   */
  take(timestamp: string, body: string, now: number = Date.now()): (() => void) | null {
    for (const [known, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(known);
    }
    const key = createHash("sha256").update(`${timestamp}\n${body}`).digest("base64");
    if (this.#until.has(key)) return null;
    this.#until.set(key, now + remembered);
    return () => this.#until.delete(key);
  }

  get size(): number {
    return this.#until.size;
  }
}
