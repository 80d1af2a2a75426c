/** What would take days to watch: the log is told what time it is. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { newId } from "@omni-iml/shared/ids";
import { describe, expect, it } from "vitest";
import { settings } from "../environment.ts";
import { type AttemptOutcome, DeliveryLog } from "./delivery-log.ts";
import type { WebhookEvent } from "./event.ts";
import { nextTry, retryAfterOf } from "./schedule.ts";

const [second, hour, day] = [1_000, 3_600_000, 86_400_000];
/** As wrangler.toml has it. */
const recommended = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400].map((seconds) => seconds * second);
const real = { ...settings(env), WEBHOOK_RETRY_S: recommended };

const event = (type: WebhookEvent["type"] = "analysis.succeeded"): WebhookEvent => ({
  id: newId("event"),
  type,
  at: 0,
  subject: null,
  data: "{}",
});

const failure: AttemptOutcome = { kind: "answered", status: 500, retryAfter: null, duration: 1 };
const success: AttemptOutcome = { kind: "answered", status: 200, retryAfter: null, duration: 1 };

/** A log of its own, far from the clock of the object that it lies in. */
function withLog(use: (log: DeliveryLog, start: number) => void, limits = real): Promise<void> {
  const id = newId("webhookEndpoint");
  return runInDurableObject(env.ENDPOINTS.getByName(id), async (_, state) => {
    const log = new DeliveryLog(state.storage, limits);
    const start = Date.now() + 1000 * day;
    const endpoint = { id, account: "ac", kind: "registered", url: "https://example.com/", events: null } as const;
    log.create({ ...endpoint, description: "" }, start);
    use(log, start);
    await state.storage.deleteAll();
  });
}

/** Makes the next attempt at `now` end with `outcome`. */
function attempt(log: DeliveryLog, now: number, outcome: AttemptOutcome): void {
  const [claim, ...more] = log.claim(8, now);
  if (!claim || more.length > 0) throw new Error(`${more.length + (claim ? 1 : 0)} deliveries are due`);
  log.finish(claim, outcome, now);
}

describe("the schedule", () => {
  it("is that of Standard Webhooks: ten attempts within four days, then a dead letter", async () => {
    await withLog((log, start) => {
      const message = event();
      log.add(message, null, start);
      let now = start;
      for (const pause of [0, ...recommended]) {
        now += pause * 1.1;
        if (pause > 0) expect(log.claim(8, now - pause * 0.2), `before ${pause} ms`).toEqual([]);
        attempt(log, now, failure);
      }
      expect(log.delivery(message.id)).toMatchObject({ status: "dead", next_attempt_at: null });
      expect(log.delivery(message.id)?.attempts).toHaveLength(10);
      expect(now - start).toBeLessThan(4 * day);
      // It failed for less than five days.
      expect(log.describe()).toMatchObject({ enabled: true, dead_letters: 1 });
    });
  });

  it("waits a little longer by chance, and as long as the receiver asks, up to a day", () => {
    expect(nextTry([100], 1, null, () => 0)).toBe(100);
    expect(nextTry([100], 1, null, () => 1)).toBeCloseTo(110);
    expect(nextTry([100], 1, 500, () => 0)).toBe(500);
    expect(nextTry([100], 1, 50, () => 0)).toBe(100);
    expect(nextTry([100], 1, 30 * day, () => 0)).toBe(day);
    expect(nextTry([100], 2, null)).toBeNull();
  });

  it("reads Retry-After in both its forms", () => {
    const now = Date.parse("2026-11-23T12:00:00Z");
    const read = (value: string) => retryAfterOf(new Headers({ "retry-after": value }), now);
    expect(read("120")).toBe(120_000);
    expect(read("Mon, 23 Nov 2026 12:01:00 GMT")).toBe(60_000);
    expect(read("Mon, 23 Nov 2026 11:00:00 GMT")).toBe(0);
    expect(read("soon")).toBeNull();
    expect(retryAfterOf(new Headers(), now)).toBeNull();
  });
});

describe("an endpoint", () => {
  it("is disabled after five days of nothing but failures, and says so; one success in between starts anew", async () => {
    await withLog((log, start) => {
      const fail = (now: number) => {
        log.add(event(), null, now);
        for (const claim of log.claim(100, now)) log.finish(claim, failure, now);
      };
      fail(start);
      fail(start + 4 * day);
      expect(log.describe().failing_since).toBe(new Date(start).toISOString());
      log.add(event(), null, start + 4.5 * day);
      for (const claim of log.claim(100, start + 4.5 * day)) log.finish(claim, success, start + 4.5 * day);
      expect(log.describe().failing_since).toBeNull();
      for (const days of [5, 7, 9.9]) fail(start + days * day);
      expect(log.describe()).toMatchObject({ enabled: true, failing_since: new Date(start + 5 * day).toISOString() });
      fail(start + 10 * day);
      const at = new Date(start + 10 * day).toISOString();
      const { enabled, disabled, dead_letters } = log.describe();
      expect({ enabled, disabled }).toMatchObject({ enabled: false, disabled: { at, reason: "failing" } });
      expect(disabled?.detail).toContain("500");
      expect(dead_letters).toBeGreaterThan(0);
      expect(log.deliveries({ status: "pending", limit: 100 }).data).toEqual([]);
      const missed = event();
      log.add(missed, null, start + 11 * day);
      expect(log.delivery(missed.id)).toMatchObject({ status: "dead", attempts: [] });
      log.change({ enabled: true }, start + 12 * day);
      const replayed = log.replayDeadLetters(start + 12 * day);
      expect(replayed).toBe(dead_letters + 1);
      expect(log.claim(100, start + 12 * day)).toHaveLength(replayed);
    });
  });

  it("is not blamed for what could not be sent from here: that counts no attempt", async () => {
    await withLog((log, start) => {
      const message = event();
      log.add(message, null, start);
      let now = start;
      for (let i = 0; i < 50; i++) {
        attempt(log, now, { kind: "unsent" });
        now += 40 * second;
      }
      expect(log.delivery(message.id)).toMatchObject({ status: "pending", attempts: [] });
      expect(log.describe().failing_since).toBeNull();
      // The schedule has not begun.
      attempt(log, now, failure);
      attempt(log, now + 6 * second, success);
      expect(log.delivery(message.id)).toMatchObject({
        status: "succeeded",
        attempts: [{ status: 500 }, { status: 200 }],
      });
    });
  });

  it("takes the same event once, and tells a late answer of an attempt that was given up from the current one", async () => {
    await withLog((log, start) => {
      const message = event();
      log.add(message, null, start);
      log.add(message, null, start);
      const [first] = log.claim(8, start);
      expect(log.claim(8, start)).toEqual([]);
      const [second] = log.claim(8, start + hour);
      if (!first || !second) throw new Error("unreachable");
      expect([first.number, second.number]).toEqual([1, 2]);
      log.finish(first, failure, start + hour);
      expect(log.claim(8, start + hour)).toEqual([]);
      log.finish(second, success, start + hour);
      expect(log.delivery(message.id)).toMatchObject({
        status: "succeeded",
        attempts: [{ status: 500 }, { status: 200 }],
      });
    });
  });

  it("keeps its log for thirty days, and what is still to be sent for as long as that takes", async () => {
    await withLog((log, start) => {
      const [old, waiting] = [event(), event()];
      log.add(old, null, start);
      attempt(log, start, success);
      log.add(waiting, null, start);
      log.purge(start + 29 * day);
      expect(log.delivery(old.id)).not.toBeNull();
      log.purge(start + 31 * day);
      expect(log.delivery(old.id)).toBeNull();
      expect(log.delivery(waiting.id)?.status).toBe("pending");
    });
  });

  it("pages through its log, newest first", async () => {
    await withLog((log, start) => {
      const all = Array.from({ length: 5 }, () => event());
      for (const [i, message] of all.entries()) log.add(message, null, start + i);
      const ids: string[] = [];
      let cursor: string | undefined;
      do {
        const page = log.deliveries({ limit: 2, cursor });
        ids.push(...page.data.map(({ id }) => id));
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      expect(ids).toEqual(all.map(({ id }) => id).reverse());
    });
  });
});
