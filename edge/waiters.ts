/** Those who wait in an object for something to change. In memory only: whoever waits asks again after a restart. */
export class Waiters {
  readonly #wakes = new Set<() => void>();

  get size(): number {
    return this.#wakes.size;
  }

  /** Resolves when something has changed, at the latest after `milliseconds`. */
  news(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timeout);
        this.#wakes.delete(wake);
        resolve();
      };
      const timeout = setTimeout(wake, milliseconds);
      this.#wakes.add(wake);
    });
  }

  /** Something has changed. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}
