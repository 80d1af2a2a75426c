/**
 * One analysis: the single writer of its record, and the owner of the runner call, of waiters, deadline and expiry.
 *
 * The record's transitions are in ledger.ts; here is what they cause: calling the runner, telling the other objects,
 * keeping copies and index up to date, erasing. Everything that must happen has a timer in the ledger, and the timer
 * stays until it has happened.
 */
import { DurableObject } from "cloudflare:workers";
import { finding as findingSchema, outputNames } from "@omni-iml/shared/analysis";
import type { NewFeedback } from "@omni-iml/shared/feedback";
import type { InferRequest } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import { composeShareToken } from "@omni-iml/shared/shares";
import { randomLetters, sameHash } from "../accounts/api-key.ts";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import { inputKey, outputKey, recordKey, signedGet, signedPut } from "../storage/objects.ts";
import { count, handOnSoon } from "../telemetry/metrics.ts";
import { Waiters } from "../waiters.ts";
import { announce } from "../webhooks/announce.ts";
import { endOf } from "../webhooks/event.ts";
import { cacheKey } from "./cache-key.ts";
import { updateIndex } from "./index-table.ts";
import { type AnalysisEvent, type AnalysisTimer, type Claim, Ledger, type NewAnalysis } from "./ledger.ts";
import { writeRecordCopy } from "./record-copy.ts";
import { release } from "./release.ts";
import type { Remains } from "./result-object.ts";
import { infer, lineFailure, RunnerBusy, RunnerSilent } from "./runner.ts";
import { type AnalysisSnapshot, hasEnded } from "./snapshot.ts";

/** How an erasure shows in storage: the number of objects that are still there. */
export interface AnalysisErasure {
  id: string;
  reason: "expired" | "deleted";
  at: number;
  /** Whether everything was deleted once. */
  swept: boolean;
  input: number;
  record: number;
  results: Remains;
}

/** Milliseconds for which a creation waits to hear whether the result is known. */
const longestLookup = 1_000;

export class AnalysisObject extends DurableObject<Environment> {
  readonly #settings = settings(this.env);
  readonly #ledger = new Ledger(this.ctx.storage, this.#settings);
  readonly #waiters = new Waiters();
  /** The attempt under way in this process, if any. */
  #attempt: { abort: AbortController; over: Promise<void> } | null = null;

  /**
   * Creates the record; the input must be stored already. May be repeated.
   * `start`: `now` dispatches at once, `queued` leaves the first dispatch to the queue. Where the result is known already,
   * the analysis has ended when this answers: whoever asked needs no second call.
   */
  async create(analysis: NewAnalysis, start: "now" | "queued"): Promise<AnalysisSnapshot> {
    this.#ledger.create(analysis, start === "queued", Date.now());
    if (start === "now") {
      this.dispatch();
      if (this.#attempt !== null) await this.#waiters.news(longestLookup);
    }
    return this.#ledger.read();
  }

  /** The analysis, if it exists and is this account's. */
  read(account: string): AnalysisSnapshot | null {
    if (!this.#ledger.exists()) return null;
    const snapshot = this.#ledger.read();
    if (snapshot.account !== account) return null;
    const now = Date.now();
    // An alarm may be late, what it stands for must not be.
    if (snapshot.erased !== null || snapshot.expiresAt === null || snapshot.expiresAt > now) return snapshot;
    this.#ledger.erase("expired", now);
    return this.#ledger.read();
  }

  /** As `read`, but not before the end or `milliseconds` have passed. */
  async wait(account: string, milliseconds: number): Promise<AnalysisSnapshot | null> {
    const until = Date.now() + milliseconds;
    for (;;) {
      const snapshot = this.read(account);
      const left = until - Date.now();
      if (snapshot === null || hasEnded(snapshot.status) || left <= 0) return snapshot;
      await this.#waiters.news(left);
    }
  }

  /**
   * The events after `sequence`, and the analysis as it is then. Where there are none yet, waits for some until the
   * analysis has ended or `milliseconds` have passed.
   */
  async follow(
    account: string,
    sequence: number,
    milliseconds: number,
  ): Promise<{ events: AnalysisEvent[]; snapshot: AnalysisSnapshot } | null> {
    const until = Date.now() + milliseconds;
    for (;;) {
      const snapshot = this.read(account);
      if (snapshot === null) return null;
      const events = this.#ledger.events(sequence);
      const left = until - Date.now();
      if (events.length > 0 || hasEnded(snapshot.status) || left <= 0) return { events, snapshot };
      await this.#waiters.news(left);
    }
  }

  /** The only way by which the runner is called. Returns at once; does nothing if it is not this analysis's turn. */
  dispatch(): void {
    if (!this.#ledger.exists()) return;
    const claim = this.#ledger.claim(Date.now());
    if (claim === null) return;
    const abort = new AbortController();
    const over = this.#work(claim, abort.signal).finally(() => {
      if (this.#attempt?.abort === abort) this.#attempt = null;
      this.#waiters.wake();
    });
    this.#attempt = { abort, over };
    this.ctx.waitUntil(over);
  }

  /** Dispatches and returns when the attempt is over: how the queue's consumers are held back to what the runners can take. */
  async dispatchAndWait(): Promise<void> {
    this.dispatch();
    await this.#attempt?.over;
  }

  /** Ends it if it has not ended yet. */
  cancel(account: string): AnalysisSnapshot | null {
    if (this.read(account) === null) return null;
    this.#ledger.cancel(Date.now());
    this.#afterEnd();
    return this.read(account);
  }

  /** Keeps the customer's own finding with the record. */
  note(account: string, { finding, comment }: NewFeedback): AnalysisSnapshot | null {
    const snapshot = this.read(account);
    if (snapshot === null || snapshot.erased !== null) return snapshot;
    const now = Date.now();
    this.#ledger.note({ finding, comment: comment ?? null, at: new Date(now).toISOString() }, now);
    return this.read(account);
  }

  /** The token by which it is shared from now on, the same until `unshare`; `null` where there is nothing to share. */
  share(account: string): string | null {
    const snapshot = this.read(account);
    if (snapshot === null || snapshot.erased !== null) return null;
    const known = this.#ledger.share;
    if (known !== null) return known;
    const token = composeShareToken(snapshot.id, randomLetters(32));
    this.#ledger.shareBy(token);
    return token;
  }

  unshare(account: string): void {
    if (this.read(account) !== null) this.#ledger.shareBy(null);
  }

  /** The analysis, if it is shared by this token. */
  readShared(token: string): AnalysisSnapshot | null {
    if (!this.#ledger.exists()) return null;
    const known = this.#ledger.share;
    if (known === null || !sameHash(known, token)) return null;
    const snapshot = this.read(this.#ledger.account);
    return snapshot?.erased === null ? snapshot : null;
  }

  /** Erases the analysis and everything stored of it; what remains is a tombstone. */
  async erase(account: string): Promise<AnalysisSnapshot | null> {
    if (this.read(account) === null) return null;
    this.#ledger.erase("deleted", Date.now());
    this.#afterEnd();
    // Now, so that the caller can rely on it; by the timer, should this fail.
    await this.#run("sweep");
    return this.read(account);
  }

  /** What is left of an erased analysis, counted in storage now; `null` where nothing was erased. */
  async erasure(account: string): Promise<AnalysisErasure | null> {
    if (this.read(account) === null) return null;
    const erased = this.#ledger.erasure();
    if (erased === null) return null;
    const { id } = this.#ledger;
    const [input, record, results] = await Promise.all([
      this.env.STORAGE.head(inputKey(account, id)),
      this.env.STORAGE.head(recordKey(account, id)),
      this.#result().remains(),
    ]);
    return { ...erased, id, input: input === null ? 0 : 1, record: record === null ? 0 : 1, results };
  }

  /** Never throws: what fails here is due again by its timer. */
  override async alarm(): Promise<void> {
    if (!this.#ledger.exists()) return;
    try {
      for (const kind of this.#ledger.timers.takeDue(Date.now())) {
        // Not awaited: a slow index must not keep the alarm from seeing the end of a lease.
        this.ctx.waitUntil(this.#run(kind));
      }
    } catch (error) {
      log("error", "an alarm failed", { analysis: this.ctx.id.name, error });
    } finally {
      if (this.#ledger.exists()) this.#ledger.timers.arm();
    }
  }

  async #run(kind: AnalysisTimer): Promise<void> {
    try {
      await this.#handlers[kind]();
    } catch (error) {
      log("error", "a step of an analysis failed; it will be tried again", { analysis: this.ctx.id.name, kind, error });
    }
  }

  readonly #handlers: Record<AnalysisTimer, () => void | Promise<void>> = {
    dispatch: () => this.dispatch(),
    lease: () => {
      this.#attempt?.abort.abort(new RunnerSilent());
      this.#ledger.loseLease(Date.now());
      this.#waiters.wake();
    },
    deadline: () => {
      this.#ledger.passDeadline(Date.now());
      this.#afterEnd();
    },
    expire: () => {
      this.#ledger.erase("expired", Date.now());
      this.#afterEnd();
    },
    settle: async () => {
      const { id, status, cached, input, error } = this.#ledger.read();
      // One that was erased before the others heard of its end has no result that could be counted.
      const end = status === "succeeded" || status === "failed" ? status : "canceled";
      const account = this.env.ACCOUNTS.getByName(this.#ledger.account);
      await account.finish(id, { status: end, cached, bytes: input.bytes });
      if (status !== "succeeded") await this.#result().release(id);
      const { batch } = this.#ledger;
      if (batch !== null) await this.env.BATCHES.getByName(batch.id).itemEnded(batch.index, id, end);
      const outcome = error?.code ?? (end === "canceled" ? "canceled" : "ok");
      count("omni_edge_analyses_total", { outcome, cached: String(cached) });
      handOnSoon(this.env, (work) => this.ctx.waitUntil(work));
      this.#ledger.done("settle");
    },
    notify: async () => {
      const { id, account, status, endedAt } = this.#ledger.read();
      if (endedAt !== null && (status === "succeeded" || status === "failed" || status === "canceled")) {
        await announce(this.env, account, endOf(id, status, endedAt), this.#ledger.webhook);
      }
      this.#ledger.done("notify");
    },
    copy: async () => {
      const sequence = this.#ledger.sequence();
      const snapshot = this.#ledger.read();
      const key = recordKey(snapshot.account, snapshot.id);
      await writeRecordCopy(this.env.STORAGE, snapshot, sequence);
      if (this.#ledger.read().erased !== null) await this.env.STORAGE.delete(key);
      else if (this.#ledger.sequence() === sequence) this.#ledger.done("copy");
    },
    index: async () => {
      for (let entry = this.#ledger.unindexed(); entry !== null; entry = this.#ledger.unindexed()) {
        await updateIndex(this.env.DATABASE, entry);
        this.#ledger.indexed(entry.sequence);
      }
    },
    erase_input: async () => {
      await this.env.STORAGE.delete(inputKey(this.#ledger.account, this.#ledger.id));
      this.#ledger.done("erase_input");
    },
    sweep: async () => {
      const { account, id } = this.#ledger;
      await this.env.STORAGE.delete([inputKey(account, id), recordKey(account, id)]);
      await this.#result().release(id);
      const { idempotencyKey } = this.#ledger;
      if (idempotencyKey !== null) await this.env.IDEMPOTENCY.getByName(idempotencyKey).free(id);
      this.#ledger.done("sweep");
    },
    forget: async () => {
      await this.env.DATABASE.prepare("DELETE FROM analyses WHERE id = ?").bind(this.#ledger.id).run();
      await this.ctx.storage.deleteAll();
    },
  };

  #result() {
    return this.env.RESULTS.getByName(this.#ledger.cacheKey);
  }

  /** Stops a runner call that nobody needs any more and lets everybody who waits know. */
  #afterEnd(): void {
    if (hasEnded(this.#ledger.read().status)) this.#attempt?.abort.abort();
    this.#waiters.wake();
  }

  /** One attempt, from the claim to its end. Never throws. */
  async #work(claim: Claim, signal: AbortSignal): Promise<void> {
    try {
      await this.#obtain(claim, signal);
    } catch (error) {
      const now = Date.now();
      if (!this.#ledger.holds(claim)) return;
      if (error instanceof RunnerBusy) {
        this.#ledger.postpone(claim, error.problem, error.retryAfter, now);
        return;
      }
      const problem =
        error instanceof Problem
          ? error
          : new Problem("internal_error", "The attempt broke off on our side.", { cause: error });
      log("warn", "an attempt failed", {
        analysis: this.ctx.id.name,
        attempt: claim.number,
        code: problem.code,
        error,
      });
      this.#ledger.fail(claim, problem, now);
    }
  }

  /** Gets the result: from those that are finished, from whoever is computing it, or from the runner. */
  async #obtain(held: Claim, signal: AbortSignal): Promise<void> {
    const id = this.#ledger.id;
    const claim = await this.#ofThisRelease(held, id);
    if (claim === null) return;
    const result = this.#result();
    const now = Date.now();
    const attemptUntil = Math.min(claim.deadline, now + this.#settings.ATTEMPT_S);
    const share = await result.claim(id, claim.deadline, attemptUntil);
    if (!this.#ledger.holds(claim)) {
      // Ended while asking, so the release that goes with the end may have come before the claim.
      const ended = !this.#ledger.exists() || hasEnded(this.#ledger.read().status);
      if (ended) await result.release(id);
      return;
    }
    switch (share.kind) {
      case "follow":
        this.#ledger.follow(claim, Date.now());
        return;
      case "hit": {
        const { verdict, score } = findingSchema.parse(JSON.parse(share.finding));
        this.#ledger.succeed(claim, { ...share, verdict, score, cached: !share.own }, Date.now());
        return;
      }
      case "lead":
        // Nothing is known yet: who only waited for that goes on.
        this.#waiters.wake();
        await this.#infer(claim, id, share.prefix, attemptUntil, signal);
    }
  }

  /**
   * The claim, of the release that this deployment serves: an analysis that was accepted before an upgrade is analysed by
   * what came after it, under the new release's cache key. `null` where it was lost meanwhile.
   */
  async #ofThisRelease(claim: Claim, id: string): Promise<Claim | null> {
    if (claim.release === release.release) return claim;
    // First, so that whoever follows it there asks again, and moves as well.
    await this.#result().release(id);
    const interpreter = this.#settings.INTERPRETER ?? id;
    const key = await cacheKey(claim.account, claim.input.sha256, claim.options, release, interpreter);
    return this.#ledger.move(claim, release.release, key);
  }

  /** Has the runner analyse the input, following its lines to the end. */
  async #infer(claim: Claim, id: string, prefix: string, until: number, signal: AbortSignal): Promise<void> {
    const request = await this.#request(claim, id, prefix, until);
    for await (const line of infer(this.env, this.#settings, request, claim.trace, signal)) {
      if (!this.#ledger.holds(claim)) return;
      if (line.type === "stage") {
        this.#ledger.stage(claim, line, Date.now());
        this.#waiters.wake();
        // Its PUT addresses are dead by now, so it cannot succeed any more.
        if (Date.now() > until) throw new Problem("deadline_exceeded", "The attempt took too long.");
        continue;
      }
      if (line.type === "problem") throw lineFailure(line);
      if (line.finding.image.sha256 !== claim.input.sha256) {
        throw new Problem("input_changed", "The runner analysed other bytes than were accepted.");
      }
      if (line.finding.model.release !== claim.release) {
        throw new Problem("release_mismatch", `The runner answered with release ${line.finding.model.release}.`);
      }
      const { degraded_checks } = line.finding;
      // A report that could not be made is told of; everything else that was asked for must be there.
      const excused = degraded_checks.map(({ check }) => check);
      const missing = claim.options.outputs.filter((name) => line.files[name] === undefined && !excused.includes(name));
      if (missing.length > 0) throw new Problem("output_unavailable", `The runner stored no ${missing.join(", ")}.`);
      const { verdict, score } = line.finding;
      const reusable = !degraded_checks.some(({ retryable }) => retryable);
      const finished = { finding: JSON.stringify(line.finding), files: line.files, prefix, reusable };
      if (!(await this.#result().complete(id, finished))) {
        throw new Problem("internal_error", "The result came too late to be used.");
      }
      this.#ledger.succeed(claim, { ...finished, verdict, score, cached: false }, Date.now());
      return;
    }
    throw new Problem("inference_crashed", "The runner's answer ended without a result.");
  }

  async #request(claim: Claim, id: string, prefix: string, until: number): Promise<InferRequest> {
    const lifetime = until - Date.now();
    const wanted = outputNames.filter((name) => claim.options.outputs.includes(name));
    const puts = wanted.map(
      async (name) => [name, await signedPut(this.#settings, outputKey(prefix, name), lifetime)] as const,
    );
    return {
      job_id: id,
      attempt: claim.number,
      account: claim.account,
      release: claim.release,
      input_url: await signedGet(this.#settings, inputKey(claim.account, id), lifetime),
      sha256: claim.input.sha256,
      bytes: claim.input.bytes,
      outputs: Object.fromEntries(await Promise.all(puts)),
      options: claim.options,
      deadline: until,
    };
  }
}
