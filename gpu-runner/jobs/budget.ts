/**
 * An amount that running work shares: pixels, or bytes. Asking never waits; who gets nothing is told at once.
 *
 * One account may have three quarters of it. The rest stays free for others, so that nobody whose burst fills it keeps
 * them out.
 */
const accountShare = 0.75;

export class Budget {
  readonly limit: number;
  #used = 0;
  readonly #byAccount = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** By how much `amount` is too much now, for the account; 0 where it fits. Alone, even what exceeds the limit fits. */
  excess(amount: number, account: string | null = null): number {
    const own = account === null ? 0 : (this.#byAccount.get(account) ?? 0);
    const overAll = this.#used === 0 ? 0 : this.#used + amount - this.limit;
    const overShare = own === 0 ? 0 : own + amount - accountShare * this.limit;
    return Math.max(0, overAll, overShare);
  }

  /** A function that gives `amount` back, or null where it does not fit. */
  take(amount: number, account: string | null = null): (() => void) | null {
    if (this.excess(amount, account) > 0) return null;
    this.#add(amount, account);
    let taken = true;
    return () => {
      if (taken) this.#add(-amount, account);
      taken = false;
    };
  }

  #add(amount: number, account: string | null): void {
    this.#used += amount;
    if (account === null) return;
    const own = (this.#byAccount.get(account) ?? 0) + amount;
    if (own === 0) this.#byAccount.delete(account);
    else this.#byAccount.set(account, own);
  }
}
