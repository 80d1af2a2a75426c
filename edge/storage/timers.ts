/**
 * A table of timers over a Durable Object's single alarm.
 *
 * A timer that comes due is first put off and then handed out: whoever handles it clears it (or sets it anew) when the
 * work is done, so that work that fails, hangs or is cut off by a restart comes up again by itself.
 */
const firstRetry = 5_000;
const lastRetry = 300_000;

export class Timers<Kind extends string> {
  readonly #storage: DurableObjectStorage;
  readonly #kinds: readonly Kind[];

  constructor(storage: DurableObjectStorage, kinds: readonly Kind[]) {
    this.#storage = storage;
    this.#kinds = kinds;
  }

  createTable(): void {
    this.#storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS timers (kind TEXT PRIMARY KEY, due INTEGER NOT NULL, tries INTEGER NOT NULL)",
    );
  }

  /** Sets or moves a timer. Call `arm` once after the last change. */
  set(kind: Kind, due: number): void {
    this.#storage.sql.exec("INSERT OR REPLACE INTO timers (kind, due, tries) VALUES (?, ?, 0)", kind, Math.ceil(due));
  }

  isSet(kind: Kind): boolean {
    return this.#storage.sql.exec("SELECT 1 FROM timers WHERE kind = ?", kind).toArray().length > 0;
  }

  clear(...kinds: Kind[]): void {
    for (const kind of kinds) this.#storage.sql.exec("DELETE FROM timers WHERE kind = ?", kind);
  }

  /** The timers that are due, each put off until it is cleared or due again. */
  takeDue(now: number): Kind[] {
    const due = new Set(
      this.#storage.sql
        .exec<{ kind: string }>("SELECT kind FROM timers WHERE due <= ? ORDER BY due", now)
        .toArray()
        .map((row) => row.kind),
    );
    this.#storage.sql.exec(
      "UPDATE timers SET tries = tries + 1, due = ? + MIN(? << MIN(tries, 10), ?) WHERE due <= ?",
      now,
      firstRetry,
      lastRetry,
      now,
    );
    return this.#kinds.filter((kind) => due.has(kind));
  }

  /** Points the alarm at the earliest timer. Not awaited: it commits together with the writes before it. */
  arm(): void {
    const next = this.#storage.sql.exec<{ due: number | null }>("SELECT MIN(due) AS due FROM timers").one().due;
    if (next === null) void this.#storage.deleteAlarm();
    else void this.#storage.setAlarm(next);
  }
}
