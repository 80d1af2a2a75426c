/** An amount that running work shares: pixels, or bytes. Asking never waits; who gets nothing is told at once. */
export class Budget {
  readonly limit: number;
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** A function that gives `amount` back, or null where it does not fit. Alone, even what exceeds the limit fits. */
  take(amount: number): (() => void) | null {
    if (this.#used > 0 && this.#used + amount > this.limit) return null;
    this.#used += amount;
    let taken = true;
    return () => {
      if (taken) this.#used -= amount;
      taken = false;
    };
  }
}
