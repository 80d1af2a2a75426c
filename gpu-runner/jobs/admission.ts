/**
 * How much a runner takes on, of all accounts together and of each: bounded by pixels, because they are what work and
 * memory grow with. What does not fit is refused at once, with the time that the measured speed says it takes until it
 * would.
 */
import { Budget } from "./budget.ts";

/** Pixels a second before anything has been measured. */
const firstGuess = 1e6;
/** Seconds of work after which a measurement has lost two thirds of its weight. */
const memory = 60;
const longestRetryAfter = 600;
/** Share of the time left that the expected wait may take: an expectation is missed half of the time. */
const certainty = 0.8;

export class Admission {
  readonly #budget: Budget;
  readonly #now: () => number;
  /** Pixels analysed and seconds spent on them, older ones counting less. */
  #done = firstGuess;
  #seconds = 1;
  /** When the time since was last counted; null while there is nothing to do. */
  #countedAt: number | null = null;

  /**
   * @param limit pixels of all images that wait or are analysed.
   * @param now milliseconds of a clock that does not jump.
   */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.#budget = new Budget(limit);
    this.#now = now;
  }

  get pixels(): number {
    return this.#budget.used;
  }

  /** Whether nothing at all would fit. */
  get full(): boolean {
    return this.#budget.used >= this.#budget.limit;
  }

  /** Measured, in pixels a second of having work. */
  get rate(): number {
    return this.#done / this.#seconds;
  }

  /** A function that ends the admission and says whether the image was analysed; null where it does not fit. */
  take(pixels: number, account: string | null = null): ((analysed: boolean) => void) | null {
    const giveBack = this.#budget.take(pixels, account);
    if (giveBack === null) return null;
    this.#countedAt ??= this.#now();
    return (analysed) => {
      giveBack();
      this.#count(analysed ? pixels : 0);
    };
  }

  /** Seconds by which so many pixels would come too late to be done within `milliseconds`; 0 where they should not. */
  tooLate(pixels: number, milliseconds: number): number {
    return Math.max(0, pixels / this.rate - (certainty * milliseconds) / 1000);
  }

  /** Whole seconds until an image of so many pixels should fit, and `late` besides; for `Retry-After`. */
  retryAfter(pixels: number, { late = 0, account = null }: { late?: number; account?: string | null } = {}): number {
    const ahead = this.#budget.excess(pixels, account);
    return Math.min(longestRetryAfter, Math.max(1, Math.ceil(Math.max(late, ahead / this.rate))));
  }

  #count(pixels: number): void {
    const now = this.#now();
    const seconds = (now - (this.#countedAt ?? now)) / 1000;
    this.#countedAt = this.#budget.used > 0 ? now : null;
    const kept = Math.exp(-seconds / memory);
    this.#done = this.#done * kept + pixels;
    this.#seconds = this.#seconds * kept + seconds;
  }
}
