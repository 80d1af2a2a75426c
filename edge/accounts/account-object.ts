/** What one account uses: its token bucket, its analyses under way, its month's quota, and every day's figures. */
import { DurableObject } from "cloudflare:workers";
import type { Usage, UsageDay } from "@omni-iml/shared/accounts";
import type { Environment } from "../environment.ts";
import type { AccountLimits } from "./authenticate.ts";

/** State of the token bucket after a request, and of the month's quota. */
export interface RateState {
  allowed: boolean;
  remaining: number;
  /** Seconds until the bucket is full again, or, where the request was refused, until the next token. */
  reset: number;
  quota: { remaining: number /** Seconds until the next month. */; reset: number };
}

export type Admission =
  | { admitted: true }
  | { admitted: false; code: "too_many_in_flight" | "quota_exceeded"; detail: string; retryAfter: number };

/** How an analysis ended, as far as usage is concerned. */
export interface AnalysisEnd {
  status: "succeeded" | "failed" | "canceled";
  cached: boolean;
  bytes: number;
}

const schema = `
-- Of an earlier version: what was under way then has ended or no longer counts.
DROP TABLE IF EXISTS in_flight;
CREATE TABLE IF NOT EXISTS under_way (
  analysis TEXT PRIMARY KEY, admitted_at INTEGER NOT NULL, until INTEGER NOT NULL -- from then on it holds up nobody
);
CREATE TABLE IF NOT EXISTS usage (month TEXT PRIMARY KEY, analyses INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS days (
  date TEXT PRIMARY KEY,
  analyses INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  canceled INTEGER NOT NULL DEFAULT 0, cached INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0
);`;

/** How long an end that is late still finds what it belongs to. */
const forgottenAfter = 7 * 86_400_000;

const dateOf = (time: number) => new Date(time).toISOString().slice(0, 10);
const monthOf = (time: number) => new Date(time).toISOString().slice(0, 7);

/** The start of the next month, UTC. */
function nextMonth(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

const untilNextMonth = (now: number) => Math.ceil((nextMonth(now) - now) / 1000);

export class AccountObject extends DurableObject<Environment> {
  // In memory only: an object that was evicted had no requests for a while, so its bucket is full anyway.
  #tokens = Number.POSITIVE_INFINITY;
  #filledAt = 0;

  constructor(ctx: DurableObjectState, env: Environment) {
    super(ctx, env);
    ctx.storage.sql.exec(schema);
  }

  /** Takes one token; the bucket holds a minute's worth and fills continuously. */
  take(limits: AccountLimits): RateState {
    const now = Date.now();
    const perSecond = limits.requestsPerMinute / 60;
    const refilled = this.#tokens + ((now - this.#filledAt) / 1000) * perSecond;
    this.#tokens = Math.min(limits.requestsPerMinute, refilled);
    this.#filledAt = now;
    const left = Math.max(0, limits.monthlyQuota - this.#usedIn(monthOf(now)));
    const quota = { remaining: left, reset: untilNextMonth(now) };
    if (this.#tokens < 1) {
      return { allowed: false, remaining: 0, reset: Math.ceil((1 - this.#tokens) / perSecond), quota };
    }
    this.#tokens -= 1;
    const reset = Math.ceil((limits.requestsPerMinute - this.#tokens) / perSecond);
    return { allowed: true, remaining: Math.floor(this.#tokens), reset, quota };
  }

  /** Counts an analysis in, until `finish` or, should that never come, until `until`. Admitting it again changes nothing. */
  admit(analysis: string, until: number, limits: AccountLimits): Admission {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    const month = monthOf(now);
    sql.exec("DELETE FROM under_way WHERE until <= ?", now - forgottenAfter);
    if (sql.exec("SELECT 1 FROM under_way WHERE analysis = ?", analysis).toArray().length > 0)
      return { admitted: true };
    const underWay = this.#underWay(now);
    if (underWay >= limits.inFlight) {
      const detail = `${underWay} analyses are under way; this account may have ${limits.inFlight} at a time.`;
      return { admitted: false, code: "too_many_in_flight", detail, retryAfter: 5 };
    }
    if (this.#usedIn(month) >= limits.monthlyQuota) {
      const detail = `${limits.monthlyQuota} analyses a month are included, and that many were made in ${month}.`;
      return { admitted: false, code: "quota_exceeded", detail, retryAfter: untilNextMonth(now) };
    }
    sql.exec("INSERT INTO under_way (analysis, admitted_at, until) VALUES (?, ?, ?)", analysis, now, until);
    this.#count(now, 1);
    return { admitted: true };
  }

  /** The analysis has ended. May be called again. */
  finish(analysis: string, { status, cached, bytes }: AnalysisEnd): void {
    const { sql } = this.ctx.storage;
    if (sql.exec("DELETE FROM under_way WHERE analysis = ? RETURNING 1", analysis).toArray().length === 0) return;
    const date = dateOf(Date.now());
    sql.exec("INSERT OR IGNORE INTO days (date) VALUES (?)", date);
    sql.exec(
      `UPDATE days SET ${status} = ${status} + 1, cached = cached + ?, bytes = bytes + ? WHERE date = ?`,
      cached ? 1 : 0,
      bytes,
      date,
    );
  }

  /** The analysis was admitted but never came to be: it does not count against the quota. */
  withdraw(analysis: string): void {
    const admitted = this.ctx.storage.sql
      .exec<{ admitted_at: number }>("DELETE FROM under_way WHERE analysis = ? RETURNING admitted_at", analysis)
      .toArray()[0];
    if (admitted !== undefined) this.#count(admitted.admitted_at, -1);
  }

  /** Nothing is known of the account any more. */
  async forget(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }

  /** What was used on the days from `from` to `to`, both included and in the form `2026-11-23`. */
  usage(limits: AccountLimits, from: string, to: string): Usage {
    const now = Date.now();
    const month = monthOf(now);
    const used = this.#usedIn(month);
    const days = this.ctx.storage.sql
      .exec<UsageDay>("SELECT * FROM days WHERE date BETWEEN ? AND ? ORDER BY date", from, to)
      .toArray();
    return {
      object: "usage",
      month: {
        month,
        quota: limits.monthlyQuota,
        used,
        remaining: Math.max(0, limits.monthlyQuota - used),
        resets_at: new Date(nextMonth(now)).toISOString(),
      },
      in_flight: { limit: limits.inFlight, used: this.#underWay(now) },
      days,
    };
  }

  #count(admittedAt: number, change: 1 | -1): void {
    const { sql } = this.ctx.storage;
    const [month, date] = [monthOf(admittedAt), dateOf(admittedAt)];
    sql.exec("INSERT OR IGNORE INTO usage (month, analyses) VALUES (?, 0)", month);
    sql.exec("UPDATE usage SET analyses = analyses + ? WHERE month = ?", change, month);
    sql.exec("INSERT OR IGNORE INTO days (date) VALUES (?)", date);
    sql.exec("UPDATE days SET analyses = analyses + ? WHERE date = ?", change, date);
  }

  #usedIn(month: string): number {
    const rows = this.ctx.storage.sql.exec<{ analyses: number }>("SELECT analyses FROM usage WHERE month = ?", month);
    return rows.toArray()[0]?.analyses ?? 0;
  }

  #underWay(now: number): number {
    return this.ctx.storage.sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM under_way WHERE until > ?", now).one().n;
  }
}
