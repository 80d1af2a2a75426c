/**
 * The record of one analysis in its object's SQLite, and every transition it can make.
 *
 *   queued → running → succeeded | failed | canceled → expired
 *
 * All methods are synchronous: what one of them writes, timers and events included, commits together. Nothing here does
 * any other I/O; see analysis-object.ts.
 */
import { analysisOptions, analysisStatuses, metadata as metadataSchema } from "@omni-iml/shared/analysis";
import { type Feedback, feedback as feedbackSchema } from "@omni-iml/shared/feedback";
import { type InferLine, resultLine } from "@omni-iml/shared/inference";
import { Problem, type ProblemDocument, problemDocument } from "@omni-iml/shared/problems";
import { type RequestWebhook, requestWebhook } from "@omni-iml/shared/webhooks";
import { z } from "zod";
import type { Settings } from "../environment.ts";
import { hasTable } from "../storage/tables.ts";
import { Timers } from "../storage/timers.ts";
import { type AnalysisInput, type AnalysisSnapshot, hasEnded, type StoredFiles } from "./snapshot.ts";

/** What a timer of the object is for. */
const timerKinds = [
  "dispatch", // call the runner (first time where the queue was lost, after a pause, after a busy runner)
  "lease", // the runner has gone silent
  "deadline", // nobody waits any longer
  "settle", // tell AccountObject and ResultObject that this has ended
  "notify", // tell the webhook endpoints
  "copy", // write the record to storage
  "index", // bring D1's index up to date
  "erase_input",
  "expire",
  "sweep", // delete everything that an erased analysis leaves behind
  "forget", // the tombstone itself
] as const;
export type AnalysisTimer = (typeof timerKinds)[number];

/** What an analysis is created from. */
export interface NewAnalysis {
  id: string;
  account: string;
  cacheKey: string;
  release: string;
  options: AnalysisSnapshot["options"];
  metadata: Record<string, string>;
  input: AnalysisInput;
  /** Where the request wants its end to be announced, besides the account's endpoints. */
  webhook: RequestWebhook | null;
  /** `traceparent` of the request. */
  trace: string;
  /** Milliseconds for which the account keeps its results; `null`: as the deployment does. */
  retention: number | null;
  /** The IdempotencyObject of the request, which is free again when this is erased. */
  idempotencyKey: string | null;
  /** The batch to which the end is told. */
  batch: BatchPlace | null;
}

/** An item of a batch. */
export interface BatchPlace {
  id: string;
  index: number;
}

/** The right to work on the analysis, until it is lost. */
export interface Claim {
  number: number;
  account: string;
  cacheKey: string;
  release: string;
  options: AnalysisSnapshot["options"];
  input: AnalysisInput;
  deadline: number;
  trace: string | null;
}

/** A line of the index: what `GET /v1/analyses` shows. */
export interface IndexEntry {
  id: string;
  account: string;
  sequence: number;
  status: string;
  createdAt: number;
  endedAt: number | null;
  expiresAt: number | null;
  cached: boolean;
  verdict: string | null;
  score: number | null;
}

export interface AnalysisEvent {
  sequence: number;
  at: number;
  type: "status" | "stage";
  data: string;
}

type Row = {
  id: string;
  account: string;
  status: string;
  erased: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  expires_at: number | null;
  deadline: number;
  cached: number;
  attempts: number;
  failures: number;
  busy: number;
  claim: number;
  claimed: number;
  accepted: number;
  not_before: number;
  stage: string | null;
  renewed_at: number;
  cache_key: string;
  release: string;
  options: string;
  metadata: string;
  input: string;
  verdict: string | null;
  score: number | null;
  finding: string | null;
  files: string;
  file_prefix: string | null;
  error: string | null;
  reason: string | null;
  sequence: number;
  indexed: number;
  webhook: string | null;
  trace: string | null;
  retention: number | null;
  idempotency_key: string | null;
  batch: string | null;
  erased_at: number | null;
  feedback: string | null;
  share: string | null;
};

const schema = `
CREATE TABLE IF NOT EXISTS record (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, status TEXT NOT NULL, erased TEXT,
  created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, expires_at INTEGER, deadline INTEGER NOT NULL,
  cached INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, -- calls that a runner took on
  failures INTEGER NOT NULL DEFAULT 0,
  busy INTEGER NOT NULL DEFAULT 0,     -- runners that were busy or absent, in a row
  claim INTEGER NOT NULL DEFAULT 0,    -- number of the newest claim
  claimed INTEGER NOT NULL DEFAULT 0,  -- whether it is still held
  accepted INTEGER NOT NULL DEFAULT 0, -- whether a runner has taken it on
  not_before INTEGER NOT NULL DEFAULT 0,
  stage TEXT, renewed_at INTEGER NOT NULL DEFAULT 0,
  cache_key TEXT NOT NULL, release TEXT NOT NULL,
  options TEXT NOT NULL, metadata TEXT NOT NULL, input TEXT NOT NULL,
  verdict TEXT, score REAL, finding TEXT, files TEXT NOT NULL DEFAULT '{}', file_prefix TEXT, error TEXT,
  reason TEXT,                         -- why the last attempt failed
  sequence INTEGER NOT NULL DEFAULT 0, indexed INTEGER NOT NULL DEFAULT 0,
  webhook TEXT, trace TEXT, retention INTEGER, idempotency_key TEXT, batch TEXT, erased_at INTEGER,
  feedback TEXT,
  share TEXT                           -- the token by which anybody may read it
);
CREATE TABLE IF NOT EXISTS events (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL
);`;

/** What records did not have in the first version. */
const addedColumns = [
  ["webhook", "TEXT"],
  ["trace", "TEXT"],
  ["retention", "INTEGER"],
  ["idempotency_key", "TEXT"],
  ["batch", "TEXT"],
  ["erased_at", "INTEGER"],
  ["feedback", "TEXT"],
  ["share", "TEXT"],
] as const;

const status = z.enum(analysisStatuses);
const erasedKinds = z.enum(["expired", "deleted"]).nullable();
const inputSchema = z.object({
  sha256: z.string(),
  bytes: z.number(),
  content_type: z.string(),
  filename: z.string().nullable(),
});
const batchPlace = z.object({ id: z.string(), index: z.number() });
const emptyInput: AnalysisInput = { sha256: "", bytes: 0, content_type: "", filename: null };
/** Stage lines closer together than this (or a quarter of the lease) neither renew it nor become events, unless the stage changes. */
const renewEvery = 1_000;
const longestPause = 60_000;
/** A follower that misses the news of its leader asks again after this long. */
const followerPoll = 5_000;
/** Copy and index learn of a new analysis after this long, so that one that ends at once is told of once. */
const creationNews = 1_000;
/** When the alarm takes a job that was left to the queue, in case its message was lost. */
const queueGrace = 30_000;

function claimOf(row: Row): Claim {
  return {
    number: row.claim,
    account: row.account,
    cacheKey: row.cache_key,
    release: row.release,
    options: analysisOptions.parse(JSON.parse(row.options)),
    input: inputSchema.parse(JSON.parse(row.input)),
    deadline: row.deadline,
    trace: row.trace,
  };
}

export class Ledger {
  readonly timers: Timers<AnalysisTimer>;
  readonly #storage: DurableObjectStorage;
  readonly #settings: Settings;

  constructor(storage: DurableObjectStorage, settings: Settings) {
    this.#storage = storage;
    this.#settings = settings;
    this.timers = new Timers(storage, timerKinds);
    if (this.exists()) this.#addColumns();
  }

  /** Whether the analysis exists. */
  exists(): boolean {
    return hasTable(this.#storage.sql, "record");
  }

  /** Creates the record unless it is there already (a repeated call). `queued`: the first dispatch is the queue's. */
  create(analysis: NewAnalysis, queued: boolean, now: number): void {
    this.#commit(() => {
      this.#storage.sql.exec(schema);
      this.timers.createTable();
      if (this.#rows().length > 0) return;
      const { DEADLINE_BATCH_S, DEADLINE_INTERACTIVE_S } = this.#settings;
      const batch = analysis.options.priority === "batch";
      const deadline = now + (batch ? DEADLINE_BATCH_S : DEADLINE_INTERACTIVE_S);
      this.#storage.sql.exec(
        `INSERT INTO record (id, account, status, created_at, deadline, cache_key, release, options, metadata, input,
           webhook, trace, retention, idempotency_key, batch)
         VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        analysis.id,
        analysis.account,
        now,
        deadline,
        analysis.cacheKey,
        analysis.release,
        JSON.stringify(analysis.options),
        JSON.stringify(analysis.metadata),
        JSON.stringify(analysis.input),
        analysis.webhook === null ? null : JSON.stringify(analysis.webhook),
        analysis.trace,
        analysis.retention,
        analysis.idempotencyKey,
        analysis.batch === null ? null : JSON.stringify(analysis.batch),
      );
      this.timers.set("dispatch", now + (queued ? queueGrace : 0));
      this.timers.set("deadline", deadline);
      this.#changed({ status: "queued" }, now);
      this.timers.set("index", now + creationNews);
      this.timers.set("copy", now + creationNews);
    });
  }

  read(): AnalysisSnapshot {
    const row = this.#row();
    return {
      id: row.id,
      account: row.account,
      status: status.parse(row.status),
      erased: erasedKinds.parse(row.erased),
      createdAt: row.created_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      expiresAt: row.expires_at,
      cached: row.cached === 1,
      attempts: row.attempts,
      stage: row.stage,
      options: analysisOptions.parse(JSON.parse(row.options)),
      metadata: metadataSchema.parse(JSON.parse(row.metadata)),
      input: inputSchema.parse(JSON.parse(row.input)),
      finding: row.finding,
      files: resultLine.shape.files.parse(JSON.parse(row.files)),
      filePrefix: row.file_prefix,
      error: row.error === null ? null : problemDocument.parse(JSON.parse(row.error)),
      feedback: row.feedback === null ? null : feedbackSchema.parse(JSON.parse(row.feedback)),
    };
  }

  /** The events after `sequence`, oldest first. */
  events(after = 0): AnalysisEvent[] {
    return this.#storage.sql
      .exec<{ sequence: number; at: number; type: string; data: string }>(
        "SELECT sequence, at, type, data FROM events WHERE sequence > ? ORDER BY sequence",
        after,
      )
      .toArray()
      .map(({ type, ...event }) => ({ ...event, type: type === "stage" ? "stage" : "status" }));
  }

  /** Takes the right to work on it, unless somebody has it, it has ended, or it must pause. */
  claim(now: number): Claim | null {
    const row = this.#row();
    if (hasEnded(status.parse(row.status)) || row.claimed === 1 || row.not_before > now) return null;
    this.#commit(() => {
      this.#storage.sql.exec(
        "UPDATE record SET claim = claim + 1, claimed = 1, accepted = 0, renewed_at = ?, stage = NULL",
        now,
      );
      this.timers.clear("dispatch");
      this.timers.set("lease", now + this.#settings.LEASE_MS);
    });
    return claimOf(this.#row());
  }

  /** Whether `claim` is still the valid one. What comes from any other is late and ignored. */
  holds(claim: Claim): boolean {
    if (!this.exists()) return false;
    const row = this.#row();
    return row.claimed === 1 && row.claim === claim.number && !hasEnded(status.parse(row.status));
  }

  /** Moves what has not ended yet to another release; the claim as it is then, or `null` where it holds no longer. */
  move(claim: Claim, release: string, cacheKey: string): Claim | null {
    if (!this.holds(claim)) return null;
    this.#commit(() => {
      this.#storage.sql.exec("UPDATE record SET release = ?, cache_key = ?", release, cacheKey);
    });
    return claimOf(this.#row());
  }

  /** A line of the runner: it has taken the job on and is alive. */
  stage(claim: Claim, line: Extract<InferLine, { type: "stage" }>, now: number): void {
    if (!this.holds(claim)) return;
    const row = this.#row();
    const news = row.accepted === 0 || row.stage !== line.stage;
    if (!news && now - row.renewed_at < Math.min(renewEvery, this.#settings.LEASE_MS / 4)) return;
    this.#commit(() => {
      if (row.accepted === 0) {
        this.#storage.sql.exec(
          "UPDATE record SET accepted = 1, attempts = attempts + 1, busy = 0, started_at = COALESCE(started_at, ?)",
          now,
        );
        if (row.status === "queued") {
          this.#storage.sql.exec("UPDATE record SET status = 'running'");
          this.#changed({ status: "running" }, now);
        }
      }
      this.#storage.sql.exec("UPDATE record SET stage = ?, renewed_at = ?", line.stage, now);
      this.timers.set("lease", now + this.#settings.LEASE_MS);
      const { stage, progress } = line;
      this.#event("stage", { stage, progress, attempt: this.#row().attempts }, now);
    });
  }

  /** Gives the claim back without a failure, because no runner has room or answers; tries again later. */
  postpone(claim: Claim, reason: Problem, retryAfter: number, now: number): void {
    if (!this.holds(claim)) return;
    const { busy } = this.#row();
    // Spread out, so that a backlog does not come back as one wave.
    const pause = Math.min(retryAfter * 2 ** Math.min(busy, 5), longestPause) * (1 + Math.random() / 2);
    this.#commit(() => {
      this.#storage.sql.exec("UPDATE record SET busy = busy + 1, reason = ?", reason.message);
      this.#release(now + pause, now + pause);
    });
  }

  /** Gives the claim back because another analysis is working on the same thing; its end is announced by a dispatch. */
  follow(claim: Claim, now: number): void {
    if (!this.holds(claim)) return;
    this.#commit(() => this.#release(0, now + followerPoll));
  }

  /** An attempt has failed. Problems that a retry can help are tried again with growing pauses, the others end it. */
  fail(claim: Claim, problem: Problem, now: number): void {
    if (!this.holds(claim)) return;
    const { MAX_ATTEMPTS, BACKOFF_MS } = this.#settings;
    const row = this.#row();
    const failures = row.failures + 1;
    const document = problem.document(row.id);
    this.#commit(() => {
      if (row.accepted === 0) {
        this.#storage.sql.exec("UPDATE record SET attempts = attempts + 1, started_at = COALESCE(started_at, ?)", now);
      }
      this.#storage.sql.exec("UPDATE record SET failures = ?, reason = ?, stage = NULL", failures, problem.message);
      if (!document.retryable) {
        this.#end("failed", document, now);
      } else if (failures >= MAX_ATTEMPTS) {
        const detail = `${failures} attempts failed; the last one: ${problem.message}`;
        this.#end("failed", new Problem("attempts_exhausted", detail).document(row.id), now);
      } else {
        const pause = Math.min(BACKOFF_MS * 2 ** (failures - 1), longestPause) * (0.75 + Math.random() / 2);
        this.#event("stage", { stage: "retrying", progress: null, attempt: this.#row().attempts }, now);
        this.#release(now + pause, now + pause);
      }
    });
  }

  /** The lease has run out: the attempt, wherever it is, no longer counts. */
  loseLease(now: number): void {
    const row = this.#row();
    this.timers.clear("lease");
    if (row.claimed === 0 || hasEnded(status.parse(row.status))) return;
    const silence = `The runner sent nothing for ${Math.round((now - row.renewed_at) / 1000)} s.`;
    this.fail(claimOf(row), new Problem("inference_crashed", silence), now);
  }

  succeed(
    claim: Claim,
    result: { finding: string; verdict: string; score: number; files: StoredFiles; prefix: string; cached: boolean },
    now: number,
  ): void {
    if (!this.holds(claim)) return;
    this.#commit(() => {
      this.#storage.sql.exec(
        `UPDATE record SET cached = ?, finding = ?, verdict = ?, score = ?, files = ?, file_prefix = ?,
           started_at = COALESCE(started_at, ?)`,
        result.cached ? 1 : 0,
        result.finding,
        result.verdict,
        result.score,
        JSON.stringify(result.files),
        result.prefix,
        now,
      );
      this.#end("succeeded", null, now);
    });
  }

  /** Ends it on the caller's wish. Nothing happens if it has ended already. */
  cancel(now: number): void {
    if (!hasEnded(status.parse(this.#row().status))) this.#commit(() => this.#end("canceled", null, now));
  }

  /** Keeps what the customer found, in place of what they said before. */
  note(feedback: Feedback, now: number): void {
    this.#commit(() => {
      this.#storage.sql.exec("UPDATE record SET feedback = ?, sequence = sequence + 1", JSON.stringify(feedback));
      this.timers.set("copy", now);
      this.timers.set("index", now);
    });
  }

  /** The token by which it is shared, if it is. */
  get share(): string | null {
    return this.#row().share;
  }

  shareBy(token: string | null): void {
    this.#commit(() => this.#storage.sql.exec("UPDATE record SET share = ?", token));
  }

  passDeadline(now: number): void {
    const row = this.#row();
    this.timers.clear("deadline");
    if (hasEnded(status.parse(row.status))) return;
    const detail = `It was accepted ${Math.round((now - row.created_at) / 1000)} s ago${row.reason === null ? "" : `; the last attempt: ${row.reason}`}`;
    this.#commit(() => this.#end("failed", new Problem("deadline_exceeded", detail).document(row.id), now));
  }

  /** Wipes everything that the customer sent or that was found; a tombstone stays. */
  erase(kind: "expired" | "deleted", now: number): void {
    const row = this.#row();
    if (row.erased === "deleted" || row.erased === kind) return;
    this.#commit(() => {
      if (!hasEnded(status.parse(row.status))) this.#end("canceled", null, now);
      this.#storage.sql.exec(
        `UPDATE record SET erased = ?, status = 'expired', metadata = '{}', input = ?, finding = NULL, verdict = NULL,
           score = NULL, files = '{}', file_prefix = NULL, error = NULL, reason = NULL, stage = NULL,
           webhook = NULL, feedback = NULL, share = NULL, erased_at = ?`,
        kind,
        JSON.stringify(emptyInput),
        now,
      );
      this.#storage.sql.exec("DELETE FROM events");
      this.timers.clear("copy", "erase_input", "expire", "notify");
      this.timers.set("sweep", now);
      this.timers.set("forget", now + this.#settings.TOMBSTONE_S);
      this.#changed({ status: "expired" }, now);
    });
  }

  /** What the index still has to learn, or `null`. */
  unindexed(): IndexEntry | null {
    const row = this.#row();
    if (row.indexed >= row.sequence) return null;
    return {
      id: row.id,
      account: row.account,
      sequence: row.sequence,
      status: row.erased === "deleted" ? "deleted" : row.status,
      createdAt: row.created_at,
      endedAt: row.ended_at,
      expiresAt: row.expires_at,
      cached: row.cached === 1,
      verdict: row.verdict,
      score: row.score,
    };
  }

  indexed(sequence: number): void {
    this.#commit(() => {
      this.#storage.sql.exec("UPDATE record SET indexed = ?", sequence);
      if (this.unindexed() === null) this.timers.clear("index");
    });
  }

  /** The number of the newest change, by which a copy can tell whether it is out of date. */
  sequence(): number {
    return this.#row().sequence;
  }

  /** A timer's work is done. The record may have been forgotten meanwhile. */
  done(kind: AnalysisTimer): void {
    if (this.exists()) this.#commit(() => this.timers.clear(kind));
  }

  get account(): string {
    return this.#row().account;
  }

  get id(): string {
    return this.#row().id;
  }

  get cacheKey(): string {
    return this.#row().cache_key;
  }

  get webhook(): RequestWebhook | null {
    const { webhook } = this.#row();
    return webhook === null ? null : requestWebhook.parse(JSON.parse(webhook));
  }

  get idempotencyKey(): string | null {
    return this.#row().idempotency_key;
  }

  get batch(): BatchPlace | null {
    const { batch } = this.#row();
    return batch === null ? null : batchPlace.parse(JSON.parse(batch));
  }

  /** When an analysis was erased, and whether all that its erasure has to reach has been reached. */
  erasure(): { reason: "expired" | "deleted"; at: number; swept: boolean } | null {
    const row = this.#row();
    const reason = erasedKinds.parse(row.erased);
    if (reason === null) return null;
    return { reason, at: row.erased_at ?? row.created_at, swept: !this.timers.isSet("sweep") };
  }

  /** Records that were made by an earlier version. */
  #addColumns(): void {
    const known = this.#storage.sql.exec<{ name: string }>("SELECT name FROM pragma_table_info('record')").toArray();
    for (const [column, type] of addedColumns) {
      if (!known.some(({ name }) => name === column))
        this.#storage.sql.exec(`ALTER TABLE record ADD COLUMN ${column} ${type}`);
    }
  }

  #release(notBefore: number, dispatchAt: number): void {
    this.#storage.sql.exec("UPDATE record SET claimed = 0, not_before = ?", Math.ceil(notBefore));
    this.timers.clear("lease");
    this.timers.set("dispatch", dispatchAt);
  }

  #end(ended: "succeeded" | "failed" | "canceled", error: ProblemDocument | null, now: number): void {
    const { options } = this.read();
    const { INPUT_RETENTION_S, RESULT_RETENTION_S } = this.#settings;
    const wished = options.retention_s === undefined ? this.#row().retention : options.retention_s * 1000;
    const retention = wished ?? RESULT_RETENTION_S;
    this.#storage.sql.exec(
      "UPDATE record SET status = ?, error = ?, ended_at = ?, expires_at = ?, claimed = 0, stage = NULL",
      ended,
      error === null ? null : JSON.stringify(error),
      now,
      now + retention,
    );
    this.timers.clear("dispatch", "lease", "deadline");
    this.timers.set("settle", now);
    this.timers.set("notify", now);
    this.timers.set("copy", now);
    this.timers.set("erase_input", now + Math.min(INPUT_RETENTION_S, retention));
    this.timers.set("expire", now + retention);
    this.#changed({ status: ended }, now);
  }

  /** A change that the index and whoever follows the events must learn. */
  #changed(data: { status: string }, now: number): void {
    this.#storage.sql.exec("UPDATE record SET sequence = sequence + 1");
    this.timers.set("index", now);
    this.#event("status", data, now);
  }

  #event(type: AnalysisEvent["type"], data: Record<string, unknown>, now: number): void {
    this.#storage.sql.exec("INSERT INTO events (at, type, data) VALUES (?, ?, ?)", now, type, JSON.stringify(data));
  }

  #commit(change: () => void): void {
    this.#storage.transactionSync(change);
    this.timers.arm();
  }

  #rows(): Row[] {
    return this.#storage.sql.exec<Row>("SELECT * FROM record").toArray();
  }

  #row(): Row {
    const row = this.#rows()[0];
    if (!row) throw new Error("there is no record in this object");
    return row;
  }
}
