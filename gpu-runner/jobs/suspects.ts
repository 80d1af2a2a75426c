/**
 * Inputs in whose company the inference process has ended. One that did it twice is not tried again: a file that makes a
 * native library crash would otherwise take the process from everybody else, over and over.
 */

const tooOften = 2;
/** Milliseconds until a crash is forgotten, and how many files are remembered: both only bound the memory. */
const lifetime = 24 * 3_600_000;
const most = 10_000;

export class Suspects {
  readonly #crashes = new Map<string, { count: number; at: number }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The process has ended with this input in hand. */
  crashed(sha256: string): void {
    const count = this.#countOf(sha256) + 1;
    this.#crashes.delete(sha256);
    this.#crashes.set(sha256, { count, at: this.#now() });
    // Maps keep the order of insertion: the first is the one that crashed longest ago.
    const oldest = this.#crashes.keys().next();
    if (this.#crashes.size > most && !oldest.done) this.#crashes.delete(oldest.value);
  }

  /** The input has been analysed, or refused in words: it was not the one. */
  cleared(sha256: string): void {
    this.#crashes.delete(sha256);
  }

  suspected(sha256: string): boolean {
    return this.#countOf(sha256) > 0;
  }

  /** Whether it has to be refused. */
  condemned(sha256: string): boolean {
    return this.#countOf(sha256) >= tooOften;
  }

  #countOf(sha256: string): number {
    const entry = this.#crashes.get(sha256);
    return entry === undefined || this.#now() - entry.at > lifetime ? 0 : entry.count;
  }
}
