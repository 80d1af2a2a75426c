/** What one account uses right now: its token bucket, its analyses under way, its month's quota. */
import { DurableObject } from "cloudflare:workers";
import type { Environment } from "../environment.ts";
import type { AccountLimits } from "./authenticate.ts";

/** State of the token bucket after a request. */
export interface RateState {
  allowed: boolean;
  remaining: number;
  /** Seconds until the bucket is full again, or, where the request was refused, until the next token. */
  reset: number;
}

export type Admission =
  | { admitted: true }
  | { admitted: false; code: "too_many_in_flight" | "quota_exceeded"; detail: string; retryAfter: number };

const schema = `
CREATE TABLE IF NOT EXISTS in_flight (analysis TEXT PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS usage (month TEXT PRIMARY KEY, analyses INTEGER NOT NULL);`;

const monthOf = (now: number) => new Date(now).toISOString().slice(0, 7);

/** Seconds to the start of the next month, UTC. */
function untilNextMonth(now: number): number {
  const date = new Date(now);
  return Math.ceil((Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1) - now) / 1000);
}

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
    if (this.#tokens < 1) {
      return { allowed: false, remaining: 0, reset: Math.ceil((1 - this.#tokens) / perSecond) };
    }
    this.#tokens -= 1;
    const reset = Math.ceil((limits.requestsPerMinute - this.#tokens) / perSecond);
    return { allowed: true, remaining: Math.floor(this.#tokens), reset };
  }

  /** Counts an analysis in, until `finish` or, should that never come, until `until`. */
  admit(analysis: string, until: number, limits: AccountLimits): Admission {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    const month = monthOf(now);
    sql.exec("DELETE FROM in_flight WHERE until <= ?", now);
    const underWay = sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM in_flight").one().n;
    if (underWay >= limits.inFlight) {
      const detail = `${underWay} analyses are under way; this account may have ${limits.inFlight} at a time.`;
      return { admitted: false, code: "too_many_in_flight", detail, retryAfter: 5 };
    }
    const used = sql.exec<{ analyses: number }>("SELECT analyses FROM usage WHERE month = ?", month).toArray()[0];
    if ((used?.analyses ?? 0) >= limits.monthlyQuota) {
      const detail = `${limits.monthlyQuota} analyses a month are included, and that many were made in ${month}.`;
      return { admitted: false, code: "quota_exceeded", detail, retryAfter: untilNextMonth(now) };
    }
    sql.exec("INSERT OR REPLACE INTO in_flight (analysis, until) VALUES (?, ?)", analysis, until);
    sql.exec(
      "INSERT INTO usage (month, analyses) VALUES (?, 1) ON CONFLICT (month) DO UPDATE SET analyses = analyses + 1",
      month,
    );
    return { admitted: true };
  }

  /** The analysis has ended. May be called again. */
  finish(analysis: string): void {
    this.ctx.storage.sql.exec("DELETE FROM in_flight WHERE analysis = ?", analysis);
  }

  /** The analysis was admitted but never came to be: it does not count against the quota. */
  withdraw(analysis: string): void {
    const { sql } = this.ctx.storage;
    const gone = sql.exec("DELETE FROM in_flight WHERE analysis = ? RETURNING analysis", analysis).toArray().length > 0;
    if (gone) sql.exec("UPDATE usage SET analyses = analyses - 1 WHERE month = ?", monthOf(Date.now()));
  }
}
