/**
 * One batch: its items, and how each of them becomes an analysis.
 *
 * The batch is committed at once and expanded bit by bit, so that it never takes all that its account may have under
 * way. An item's analysis has an id that follows from batch and index: however often an item is begun, it becomes one
 * analysis. Analyses tell their batch that they have ended; when all have, the batch has ended and its webhook is told.
 */
import { DurableObject } from "cloudflare:workers";
import { type AnalysisOptions, analysisOptions, metadata as metadataSchema } from "@omni-iml/shared/analysis";
import type { BatchItemStatus } from "@omni-iml/shared/batches";
import { namedId } from "@omni-iml/shared/ids";
import { Problem, type ProblemDocument, problemDocument } from "@omni-iml/shared/problems";
import { type RequestWebhook, requestWebhook } from "@omni-iml/shared/webhooks";
import { z } from "zod";
import type { AccountLimits } from "../accounts/authenticate.ts";
import { type Environment, settings } from "../environment.ts";
import { accept } from "../intake/accept.ts";
import { log } from "../log.ts";
import { hasTable } from "../storage/tables.ts";
import { Timers } from "../storage/timers.ts";
import { announce } from "../webhooks/announce.ts";
import { completionOf } from "../webhooks/event.ts";
import type { BatchSnapshot } from "./snapshot.ts";

/** Where an item's image is; the images themselves are never in a batch. */
const itemSource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("address"), url: z.string() }),
  z.object({ kind: z.literal("upload"), id: z.string() }),
]);

export interface NewBatchRecord {
  id: string;
  account: string;
  limits: AccountLimits;
  retention: number | null;
  metadata: Record<string, string>;
  webhook: RequestWebhook | null;
  trace: string;
  idempotencyKey: string | null;
  items: { source: z.infer<typeof itemSource>; options: AnalysisOptions; metadata: Record<string, string> }[];
}

export interface ItemSnapshot {
  index: number;
  status: BatchItemStatus;
  analysis: string | null;
  error: ProblemDocument | null;
}

const timerKinds = ["expand", "cancel", "notify", "expire", "sweep", "forget"] as const;
type BatchTimer = (typeof timerKinds)[number];

type Row = {
  id: string;
  account: string;
  limits: string;
  retention: number | null;
  metadata: string;
  webhook: string | null;
  trace: string;
  idempotency_key: string | null;
  created_at: number;
  ended_at: number | null;
  canceled_at: number | null;
  expires_at: number | null;
  erased: "deleted" | "expired" | null;
};

type Item = {
  position: number;
  source: string;
  options: string;
  metadata: string;
  status: BatchItemStatus;
  analysis: string | null;
  error: string | null;
  tries: number;
};

const schema = `
CREATE TABLE IF NOT EXISTS batch (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, limits TEXT NOT NULL, retention INTEGER, metadata TEXT NOT NULL,
  webhook TEXT, trace TEXT NOT NULL, idempotency_key TEXT,
  created_at INTEGER NOT NULL, ended_at INTEGER, canceled_at INTEGER, expires_at INTEGER, erased TEXT
);
CREATE TABLE IF NOT EXISTS items (
  position INTEGER PRIMARY KEY, source TEXT NOT NULL, options TEXT NOT NULL, metadata TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending', analysis TEXT, error TEXT,
  tries INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS items_by_status ON items (status, position);`;

const limitsSchema = z.object({ requestsPerMinute: z.number(), inFlight: z.number(), monthlyQuota: z.number() });
/** Images taken in at the same time: each is in memory meanwhile, and an isolate has six connections. */
const intakes = 2;
/** Erasures and cancellations at the same time. */
const calls = 6;
/** What passes by itself does not count as a failure of the item. */
const passing: ReadonlySet<string> = new Set(["too_many_in_flight", "overloaded", "storage_unavailable"]);
const mostTries = 4;
const shortestPause = 2_000;
/** Should the word of an analysis's end get lost, the batch looks again after this long. */
const patience = 60_000;

export class BatchObject extends DurableObject<Environment> {
  readonly #settings = settings(this.env);
  readonly #timers = new Timers<BatchTimer>(this.ctx.storage, timerKinds);
  #expanding: Promise<void> | null = null;

  /** Commits the batch; its expansion begins by itself. May be repeated. */
  create(batch: NewBatchRecord): BatchSnapshot {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    sql.exec(schema);
    this.#timers.createTable();
    if (this.#find() === null) {
      this.#commit(() => {
        sql.exec(
          `INSERT INTO batch (id, account, limits, retention, metadata, webhook, trace, idempotency_key, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          batch.id,
          batch.account,
          JSON.stringify(batch.limits),
          batch.retention,
          JSON.stringify(batch.metadata),
          batch.webhook === null ? null : JSON.stringify(batch.webhook),
          batch.trace,
          batch.idempotencyKey,
          now,
        );
        for (const [position, { source, options, metadata }] of batch.items.entries()) {
          const values = [source, options, metadata].map((value) => JSON.stringify(value));
          sql.exec("INSERT INTO items (position, source, options, metadata) VALUES (?, ?, ?, ?)", position, ...values);
        }
        this.#timers.set("expand", now);
      });
    }
    return this.#snapshot();
  }

  /** The batch, if it exists and is this account's. */
  read(account: string): BatchSnapshot | null {
    const row = this.#find();
    return row === null || row.account !== account ? null : this.#snapshot();
  }

  /** The items after `position`, in order. */
  items(account: string, after: number, limit: number): ItemSnapshot[] {
    if (this.#find()?.account !== account) return [];
    return this.ctx.storage.sql
      .exec<Item>("SELECT * FROM items WHERE position > ? ORDER BY position LIMIT ?", after, limit)
      .toArray()
      .map(({ position, status, analysis, error }) => ({
        index: position,
        status,
        analysis,
        error: error === null ? null : problemDocument.parse(JSON.parse(error)),
      }));
  }

  /** The item's analysis has ended. May be repeated. */
  itemEnded(position: number, analysis: string, status: "succeeded" | "failed" | "canceled"): void {
    const row = this.#find();
    if (row === null || row.erased !== null) return;
    this.#commit(() => {
      this.ctx.storage.sql.exec(
        "UPDATE items SET status = ?, analysis = ? WHERE position = ? AND status IN ('pending', 'running')",
        status,
        analysis,
        position,
      );
      this.#endIfDone();
    });
    this.ctx.waitUntil(this.#run("expand"));
  }

  /** Begins no further item and cancels what is under way. Nothing happens if it has ended already. */
  async cancel(account: string): Promise<BatchSnapshot | null> {
    const row = this.#find();
    if (row === null || row.account !== account) return null;
    if (row.ended_at === null && row.erased === null) {
      const now = Date.now();
      this.#commit(() => {
        this.ctx.storage.sql.exec("UPDATE batch SET canceled_at = COALESCE(canceled_at, ?)", now);
        this.#timers.set("cancel", now);
      });
      await this.#run("cancel");
    }
    return this.#snapshot();
  }

  /** Erases the batch and every analysis that it became. */
  async erase(account: string): Promise<boolean> {
    const row = this.#find();
    if (row === null || row.account !== account) return false;
    if (row.erased !== "deleted") {
      this.#commit(() => this.#wipe("deleted", Date.now()));
      await this.#run("sweep");
    }
    return true;
  }

  /** Never throws: what fails here is due again by its timer. */
  override async alarm(): Promise<void> {
    if (this.#find() === null) return;
    try {
      for (const kind of this.#timers.takeDue(Date.now())) this.ctx.waitUntil(this.#run(kind));
    } catch (error) {
      log("error", "an alarm failed", { batch: this.ctx.id.name, error });
    } finally {
      this.#timers.arm();
    }
  }

  async #run(kind: BatchTimer): Promise<void> {
    try {
      await this.#handlers[kind]();
    } catch (error) {
      log("error", "a step of a batch failed; it will be tried again", { batch: this.ctx.id.name, kind, error });
    }
  }

  readonly #handlers: Record<BatchTimer, () => Promise<void>> = {
    expand: async () => {
      // Whoever comes while items are being begun is served by that same round.
      this.#expanding ??= this.#expand().finally(() => {
        this.#expanding = null;
      });
      await this.#expanding;
    },
    cancel: async () => {
      // No further item is begun from here on, and those that are being begun are canceled like the others.
      await this.#expanding;
      const { account } = this.#row();
      this.#commit(() => {
        this.ctx.storage.sql.exec("UPDATE items SET status = 'canceled' WHERE status = 'pending'");
        this.#endIfDone();
      });
      await this.#inTurn("SELECT * FROM items WHERE status = 'running'", async ({ analysis }) => {
        if (analysis !== null) await this.env.ANALYSES.getByName(analysis).cancel(account);
      });
      this.#commit(() => this.#timers.clear("cancel"));
    },
    notify: async () => {
      const { id, account, ended_at: at, webhook } = this.#row();
      const named = webhook === null ? null : requestWebhook.parse(JSON.parse(webhook));
      await announce(this.env, account, completionOf(id, at ?? Date.now()), named);
      this.#commit(() => this.#timers.clear("notify"));
    },
    expire: async () => {
      this.#commit(() => this.#wipe("expired", Date.now()));
    },
    sweep: async () => {
      // An item that is being begun right now becomes an analysis before it can be erased.
      await this.#expanding;
      const { id, account, erased, idempotency_key: key } = this.#row();
      if (erased === "deleted") {
        // Also those that broke off before their analysis was noted: their ids are known.
        await this.#inTurn("SELECT * FROM items WHERE tries > 0", async ({ position }) => {
          await this.env.ANALYSES.getByName(await this.#analysisId(position)).erase(account);
          this.ctx.storage.sql.exec("DELETE FROM items WHERE position = ?", position);
        });
      }
      if (key !== null) await this.env.IDEMPOTENCY.getByName(key).free(id);
      this.#commit(() => {
        this.ctx.storage.sql.exec("DELETE FROM items");
        this.#timers.clear("sweep");
      });
    },
    forget: async () => {
      await this.ctx.storage.deleteAll();
    },
  };

  /** Begins items until enough are under way, and sets the time to look again. */
  async #expand(): Promise<void> {
    for (;;) {
      const row = this.#find();
      if (row === null) return;
      const { sql } = this.ctx.storage;
      const now = Date.now();
      if (row.ended_at !== null || row.canceled_at !== null || row.erased !== null) {
        this.#commit(() => this.#timers.clear("expand"));
        return;
      }
      const room = this.#settings.BATCH_IN_FLIGHT - this.#count("running");
      const next = sql
        .exec<Item>(
          "SELECT * FROM items WHERE status = 'pending' AND not_before <= ? ORDER BY position LIMIT ?",
          now,
          Math.max(0, Math.min(intakes, room)),
        )
        .toArray();
      if (next.length === 0) {
        const due = sql.exec<{ at: number | null }>("SELECT MIN(not_before) AS at FROM items WHERE status = 'pending'");
        const at = due.one().at;
        this.#commit(() => {
          if (at === null) this.#timers.clear("expand");
          else this.#timers.set("expand", room > 0 ? Math.max(at, now + 100) : now + patience);
        });
        return;
      }
      const begun = await Promise.all(next.map((item) => this.#begin(row, item)));
      if (begun.includes("wait")) {
        this.#commit(() => this.#timers.set("expand", Date.now() + shortestPause));
        return;
      }
    }
  }

  /**
   * Makes the item an analysis, or notes why it cannot become one. `wait`: no item could at the moment. Never throws.
   */
  async #begin(batch: Row, item: Item): Promise<"next" | "wait"> {
    const { sql } = this.ctx.storage;
    const { position } = item;
    // Before anything else, so that after a restart it is known that the analysis may exist.
    sql.exec("UPDATE items SET tries = tries + 1 WHERE position = ?", position);
    try {
      const id = await this.#analysisId(position);
      await accept(this.env, {
        id,
        account: batch.account,
        limits: limitsSchema.parse(JSON.parse(batch.limits)),
        retention: batch.retention,
        source: itemSource.parse(JSON.parse(item.source)),
        options: analysisOptions.parse(JSON.parse(item.options)),
        metadata: metadataSchema.parse(JSON.parse(item.metadata)),
        webhook: null,
        trace: batch.trace,
        idempotencyKey: null,
        batch: { id: batch.id, index: position },
        again: item.tries > 0,
        queued: true,
      });
      this.#commit(() => {
        // It may have ended already.
        sql.exec("UPDATE items SET analysis = ? WHERE position = ?", id, position);
        sql.exec("UPDATE items SET status = 'running' WHERE position = ? AND status = 'pending'", position);
      });
      return "next";
    } catch (error) {
      return this.#notBegun(batch, item, error);
    }
  }

  #notBegun(batch: Row, item: Item, error: unknown): "next" | "wait" {
    const now = Date.now();
    const problem =
      error instanceof Problem
        ? error
        : new Problem("internal_error", "The item could not be begun.", { cause: error });
    if (!(error instanceof Problem)) log("warn", "an item of a batch was not begun", { batch: batch.id, error });
    const document = problem.document(batch.id);
    const late = now > batch.created_at + this.#settings.DEADLINE_BATCH_S;
    const { sql } = this.ctx.storage;
    if (!late && passing.has(problem.code)) {
      // Not the item's failure; one try stays noted, because its analysis may exist.
      sql.exec("UPDATE items SET tries = ? WHERE position = ?", Math.max(1, item.tries), item.position);
      return "wait";
    }
    // A used-up quota does not come back within a batch's time.
    const retried = !late && document.retryable && problem.code !== "quota_exceeded" && item.tries + 1 < mostTries;
    this.#commit(() => {
      if (retried) {
        const pause = shortestPause * 2 ** item.tries;
        sql.exec("UPDATE items SET not_before = ? WHERE position = ?", now + pause, item.position);
      } else {
        sql.exec(
          "UPDATE items SET status = 'refused', error = ? WHERE position = ? AND status = 'pending'",
          JSON.stringify(document),
          item.position,
        );
      }
      this.#endIfDone();
    });
    return "next";
  }

  /** To be called within a commit. */
  #endIfDone(): void {
    const row = this.#find();
    if (row === null || row.ended_at !== null || row.erased !== null) return;
    if (this.#count("pending") + this.#count("running") > 0) return;
    const now = Date.now();
    const expiresAt = now + (row.retention ?? this.#settings.RESULT_RETENTION_S);
    this.ctx.storage.sql.exec("UPDATE batch SET ended_at = ?, expires_at = ?", now, expiresAt);
    this.#timers.clear("expand");
    this.#timers.set("notify", now);
    this.#timers.set("expire", expiresAt);
  }

  /** To be called within a commit: nothing that the customer sent stays but what the sweep needs. */
  #wipe(kind: "deleted" | "expired", now: number): void {
    const { sql } = this.ctx.storage;
    sql.exec("UPDATE batch SET erased = ?, metadata = '{}', webhook = NULL", kind);
    sql.exec("UPDATE items SET source = '', options = '', metadata = '', error = NULL");
    sql.exec("UPDATE items SET status = 'canceled' WHERE status = 'pending'");
    this.#timers.clear("expand", "cancel", "notify", "expire");
    this.#timers.set("sweep", now);
    this.#timers.set("forget", now + this.#settings.TOMBSTONE_S);
  }

  #analysisId(position: number): Promise<string> {
    const { id, created_at } = this.#row();
    return namedId("analysis", `${id}/${position}`, created_at);
  }

  /** Calls for the items that `query` finds, a few at a time. */
  async #inTurn(query: string, call: (item: Item) => Promise<void>): Promise<void> {
    const items = this.ctx.storage.sql.exec<Item>(query).toArray();
    for (let at = 0; at < items.length; at += calls) await Promise.all(items.slice(at, at + calls).map(call));
  }

  #snapshot(): BatchSnapshot {
    const row = this.#row();
    const counts = this.ctx.storage.sql
      .exec<{ status: BatchItemStatus; n: number }>("SELECT status, COUNT(*) AS n FROM items GROUP BY status")
      .toArray();
    return {
      id: row.id,
      account: row.account,
      createdAt: row.created_at,
      endedAt: row.ended_at,
      canceledAt: row.canceled_at,
      expiresAt: row.expires_at,
      erased: row.erased,
      metadata: metadataSchema.parse(JSON.parse(row.metadata)),
      counts: Object.fromEntries(counts.map(({ status, n }) => [status, n])),
    };
  }

  #count(status: BatchItemStatus): number {
    return this.ctx.storage.sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM items WHERE status = ?", status).one().n;
  }

  #commit(change: () => void): void {
    this.ctx.storage.transactionSync(change);
    this.#timers.arm();
  }

  #find(): Row | null {
    if (!hasTable(this.ctx.storage.sql, "batch")) return null;
    return this.ctx.storage.sql.exec<Row>("SELECT * FROM batch").toArray()[0] ?? null;
  }

  #row(): Row {
    const row = this.#find();
    if (row === null) throw new Error("there is no batch in this object");
    return row;
  }
}
