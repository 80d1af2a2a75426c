/**
 * One Idempotency-Key of one account at one route: which payload it stands for and what came of it.
 *
 * Of several requests with the key, one leads and creates; the others wait for it and are told the id. A leader that
 * fails gives the lead to the next of those who wait. One that is never heard of again loses it after its lease, and the
 * next one goes on with the same id, so that what the lost one may have created is not created twice.
 */
import { DurableObject } from "cloudflare:workers";
import type { Environment } from "../environment.ts";
import { hasTable } from "../storage/tables.ts";
import { Waiters } from "../waiters.ts";

export type Turn =
  /** Create it under `id`. `again`: somebody may have done so already. */
  | { kind: "lead"; id: string; again: boolean }
  | { kind: "replay"; id: string }
  /** The key stands for another payload; `id` is what came of that, where something has already. */
  | { kind: "conflict"; id: string | null };

type Row = { payload: string; id: string; done: number; lease_until: number; expires_at: number };

const schema = `
CREATE TABLE IF NOT EXISTS key (
  payload TEXT NOT NULL, id TEXT NOT NULL, done INTEGER NOT NULL, lease_until INTEGER NOT NULL, expires_at INTEGER NOT NULL
)`;

const lifetime = 24 * 3600 * 1000;
/** Longer than the slowest creation takes: an image fetched at its time limit, an upload of 200 MB copied. */
const lease = 180_000;

export class IdempotencyObject extends DurableObject<Environment> {
  readonly #waiters = new Waiters();

  /** Whose turn it is to answer a request with this payload, which would create `id`. Waits for a leader at work. */
  async begin(payload: string, id: string): Promise<Turn> {
    this.ctx.storage.sql.exec(schema);
    for (;;) {
      const now = Date.now();
      const row = this.#row(now);
      if (row === null) {
        const { sql } = this.ctx.storage;
        sql.exec("INSERT INTO key VALUES (?, ?, 0, ?, ?)", payload, id, now + lease, now + lifetime);
        void this.ctx.storage.setAlarm(now + lifetime);
        return { kind: "lead", id, again: false };
      }
      if (row.payload !== payload) return { kind: "conflict", id: row.done === 1 ? row.id : null };
      if (row.done === 1) return { kind: "replay", id: row.id };
      if (row.lease_until <= now) {
        this.ctx.storage.sql.exec("UPDATE key SET lease_until = ?", now + lease);
        return { kind: "lead", id: row.id, again: true };
      }
      await this.#waiters.news(row.lease_until - now);
    }
  }

  /** It has been created: whoever comes is told so. */
  complete(id: string): void {
    if (this.#row(Date.now())?.id === id) this.ctx.storage.sql.exec("UPDATE key SET done = 1");
    this.#waiters.wake();
  }

  /** The leader broke off, and what it has created is not known: whoever is next goes on with the same id. */
  handOn(id: string): void {
    if (this.#row(Date.now())?.id === id) this.ctx.storage.sql.exec("UPDATE key SET lease_until = 0 WHERE done = 0");
    this.#waiters.wake();
  }

  /** The key is free again, because nothing was created under it or because that is gone. */
  async free(id: string): Promise<void> {
    if (this.#row(Date.now())?.id === id) await this.#clear();
    this.#waiters.wake();
  }

  override async alarm(): Promise<void> {
    // Null once the key's time is over, and also where a request has made it anew since.
    if (this.#row(Date.now()) === null) await this.#clear();
  }

  async #clear(): Promise<void> {
    this.ctx.storage.sql.exec("DELETE FROM key");
    // Whoever waits takes the key anew; otherwise nothing of it stays.
    if (this.#waiters.size === 0) await this.ctx.storage.deleteAll();
  }

  #row(now: number): Row | null {
    if (!hasTable(this.ctx.storage.sql, "key")) return null;
    const row = this.ctx.storage.sql.exec<Row>("SELECT * FROM key").toArray()[0];
    if (row === undefined || row.expires_at > now) return row ?? null;
    // An alarm may be late, what it stands for must not be.
    this.ctx.storage.sql.exec("DELETE FROM key");
    return null;
  }
}
