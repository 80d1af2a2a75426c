/**
 * One endpoint in its object's SQLite: its settings, its secrets, every message for it and every attempt to deliver it.
 *
 *   pending → succeeded | dead | dropped,  dead | succeeded → pending (redelivery)
 *
 * All methods are synchronous: what one of them writes, timers included, commits together. Nothing here does any other
 * I/O; see endpoint-object.ts.
 */

import { newWebhookSecret } from "@omni-iml/shared/webhook-signature";
import {
  type DeliveryStatus,
  deliveryStatuses,
  disabledReasons,
  type EventType,
  eventTypes,
  type SentEventType,
  sentEventTypes,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookDeliveryPage,
  type WebhookEndpoint,
  type WebhookEndpointChange,
  type WebhookSecret,
} from "@omni-iml/shared/webhooks";
import { z } from "zod";
import type { Settings } from "../environment.ts";
import { hasTable } from "../storage/tables.ts";
import { Timers } from "../storage/timers.ts";
import type { WebhookEvent } from "./event.ts";
import { nextTry } from "./schedule.ts";

/** What a timer of the object is for. */
const timerKinds = [
  "deliver", // the next delivery is due, or the lease of one under way has run out
  "purge", // drop what is older than the log goes back
] as const;
export type EndpointTimer = (typeof timerKinds)[number];

export interface EndpointSettings {
  id: string;
  account: string;
  kind: WebhookEndpoint["kind"];
  url: string | null;
  events: readonly EventType[] | null;
  description: string;
}

/** The right to make one attempt, until its lease has run out. */
export interface DeliveryClaim {
  event: WebhookEvent;
  url: string;
  /** Of the attempt, from 1. */
  number: number;
}

/** How an attempt went. */
export type AttemptOutcome =
  | { kind: "answered"; status: number; retryAfter: number | null; duration: number }
  /** `final`: nothing that time will mend. */
  | { kind: "unanswered"; error: string; final: boolean; duration: number }
  /** It could not be sent from here, which says nothing about the receiver. */
  | { kind: "unsent" }
  /** What it was about has been erased. */
  | { kind: "erased" };

type EndpointRow = {
  id: string;
  account: string;
  kind: string;
  url: string | null;
  events: string | null;
  description: string;
  created_at: number;
  disabled_at: number | null;
  disabled_reason: string | null;
  disabled_detail: string | null;
  failing_since: number | null;
};

type DeliveryRow = {
  id: string;
  type: string;
  subject: string | null;
  at: number;
  data: string | null;
  url: string | null;
  status: string;
  created_at: number;
  due: number | null;
  tries: number;
  claim: number;
};

type AttemptRow = { delivery: string; number: number; at: number } & {
  status: number | null;
  duration: number | null;
  error: string | null;
};

const schema = `
CREATE TABLE IF NOT EXISTS endpoint (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, url TEXT, events TEXT, description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER, disabled_reason TEXT, disabled_detail TEXT,
  failing_since INTEGER -- first failure since the last success
);
CREATE TABLE IF NOT EXISTS secrets (secret TEXT PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER);
CREATE TABLE IF NOT EXISTS deliveries (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, subject TEXT, at INTEGER NOT NULL, data TEXT,
  url TEXT,                         -- where a request named it; else the endpoint's
  status TEXT NOT NULL, created_at INTEGER NOT NULL,
  due INTEGER,                      -- of the next attempt; while one is under way, the end of its lease
  tries INTEGER NOT NULL DEFAULT 0, -- since it was queued or queued again
  claim INTEGER NOT NULL DEFAULT 0  -- number of the newest attempt
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_status ON deliveries (status);
CREATE TABLE IF NOT EXISTS attempts (
  delivery TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER, duration INTEGER, error TEXT,
  PRIMARY KEY (delivery, number)
);`;

/** How much longer than the attempt itself its lease lasts. */
const leaseMargin = 10_000;
/** When something is tried again that could not be sent from here. */
const unsentPause = 30_000;
/** When the alarm takes a delivery that should have been taken at once. */
const overdueGrace = 1_000;
const purgeEvery = 86_400_000;

const cutOff = "It was cut off on our side; whether it arrived is not known.";

const timestamp = (time: number | null) => (time === null ? null : new Date(time).toISOString());
const eventList = z.array(z.enum(eventTypes)).nullable();
const deliveryStatus = z.enum(deliveryStatuses);
const disabledReason = z.enum(disabledReasons);
const sentType = z.enum(sentEventTypes);

export class DeliveryLog {
  readonly timers: Timers<EndpointTimer>;
  readonly #storage: DurableObjectStorage;
  readonly #settings: Settings;

  constructor(storage: DurableObjectStorage, settings: Settings) {
    this.#storage = storage;
    this.#settings = settings;
    this.timers = new Timers(storage, timerKinds);
  }

  /** Whether the endpoint exists and is this account's. */
  belongsTo(account: string): boolean {
    return this.exists() && this.#endpoint().account === account;
  }

  exists(): boolean {
    return hasTable(this.#storage.sql, "endpoint");
  }

  /** Creates the endpoint with a first secret, unless it is there already. */
  create(endpoint: EndpointSettings, now: number): void {
    if (this.exists()) return;
    this.#commit(now, () => {
      this.#storage.sql.exec(schema);
      this.timers.createTable();
      this.#storage.sql.exec(
        "INSERT INTO endpoint (id, account, kind, url, events, description, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        endpoint.id,
        endpoint.account,
        endpoint.kind,
        endpoint.url,
        endpoint.events === null ? null : JSON.stringify(endpoint.events),
        endpoint.description,
        now,
      );
      this.#storage.sql.exec("INSERT INTO secrets (secret, created_at) VALUES (?, ?)", newWebhookSecret(), now);
      this.timers.set("purge", now + purgeEvery);
    });
  }

  describe(): WebhookEndpoint {
    const row = this.#endpoint();
    return {
      id: row.id,
      object: "webhook_endpoint",
      kind: row.kind === "per_request" ? "per_request" : "registered",
      url: row.url,
      events: eventList.parse(JSON.parse(row.events ?? "null")),
      description: row.description,
      created_at: new Date(row.created_at).toISOString(),
      enabled: row.disabled_at === null,
      disabled:
        row.disabled_at === null
          ? null
          : {
              at: new Date(row.disabled_at).toISOString(),
              reason: disabledReason.parse(row.disabled_reason),
              detail: row.disabled_detail ?? "",
            },
      failing_since: timestamp(row.failing_since),
      dead_letters: this.#count("status = 'dead'"),
    };
  }

  change(change: WebhookEndpointChange, now: number): void {
    this.#commit(now, () => {
      const { sql } = this.#storage;
      if (change.url !== undefined) sql.exec("UPDATE endpoint SET url = ?, failing_since = NULL", change.url);
      if (change.events !== undefined) {
        sql.exec("UPDATE endpoint SET events = ?", change.events === null ? null : JSON.stringify(change.events));
      }
      if (change.description !== undefined) sql.exec("UPDATE endpoint SET description = ?", change.description);
      if (change.enabled === true) {
        sql.exec(
          "UPDATE endpoint SET disabled_at = NULL, disabled_reason = NULL, disabled_detail = NULL, failing_since = NULL",
        );
      }
      if (change.enabled === false) this.#disable("owner", "Its owner disabled it.", now);
    });
  }

  secret(now: number): WebhookSecret {
    const [current, previous] = this.#validSecrets(now);
    if (current === undefined) throw new Error("an endpoint has a secret");
    return {
      object: "webhook_secret",
      secret: current.secret,
      previous_expires_at: timestamp(previous?.expires_at ?? null),
    };
  }

  /** With what messages are signed now, the newest first. */
  signingSecrets(now: number): string[] {
    return this.#validSecrets(now).map(({ secret }) => secret);
  }

  /** A new secret; the one so far also signs until `oldUntil`, any older one no more. */
  rotateSecret(oldUntil: number, now: number): void {
    this.#commit(now, () => {
      const { sql } = this.#storage;
      sql.exec("DELETE FROM secrets WHERE expires_at IS NOT NULL");
      sql.exec("UPDATE secrets SET expires_at = ?", oldUntil);
      sql.exec("INSERT INTO secrets (secret, created_at) VALUES (?, ?)", newWebhookSecret(), now);
    });
  }

  wants(type: SentEventType): boolean {
    const events: readonly string[] | null = eventList.parse(JSON.parse(this.#endpoint().events ?? "null"));
    return events === null || type === "webhook.test" || events.includes(type);
  }

  /** Takes a message on, once. While the endpoint is disabled it becomes a dead letter at once. */
  add(event: WebhookEvent, url: string | null, now: number): void {
    const enabled = this.#endpoint().disabled_at === null;
    this.#commit(now, () => {
      this.#storage.sql.exec(
        `INSERT OR IGNORE INTO deliveries (id, type, subject, at, data, url, status, created_at, due)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        event.id,
        event.type,
        event.subject,
        event.at,
        event.data,
        url,
        enabled ? "pending" : "dead",
        now,
        enabled ? now : null,
      );
    });
  }

  /** The right to attempt up to `most` deliveries that are due, each with a lease. */
  claim(most: number, now: number): DeliveryClaim[] {
    const { url } = this.#endpoint();
    return this.#commit(now, () => {
      const { sql } = this.#storage;
      const due = sql.exec<DeliveryRow>(
        "SELECT * FROM deliveries WHERE status = 'pending' AND due <= ? ORDER BY due, rowid LIMIT ?",
        now,
        most,
      );
      return due.toArray().map((row) => {
        const number = row.claim + 1;
        const lease = now + this.#settings.WEBHOOK_TIMEOUT_S + leaseMargin;
        sql.exec("UPDATE attempts SET error = ? WHERE delivery = ? AND duration IS NULL", cutOff, row.id);
        sql.exec("UPDATE deliveries SET claim = ?, tries = tries + 1, due = ? WHERE id = ?", number, lease, row.id);
        sql.exec("INSERT INTO attempts (delivery, number, at) VALUES (?, ?, ?)", row.id, number, now);
        const { id, at, subject, data } = row;
        return { event: { id, type: sentType.parse(row.type), at, subject, data }, url: row.url ?? url ?? "", number };
      });
    });
  }

  /** An attempt is over. One whose lease had run out is noted, and changes nothing but for the better. */
  finish(claim: DeliveryClaim, outcome: AttemptOutcome, now: number): void {
    if (!this.exists()) return;
    this.#commit(now, () => {
      const row = this.#find(claim.event.id);
      if (row === undefined) return;
      const current = row.status === "pending" && row.claim === claim.number;
      switch (outcome.kind) {
        case "unsent":
          this.#storage.sql.exec("DELETE FROM attempts WHERE delivery = ? AND number = ?", row.id, claim.number);
          if (!current) return;
          this.#storage.sql.exec(
            "UPDATE deliveries SET tries = tries - 1, due = ? WHERE id = ?",
            now + unsentPause,
            row.id,
          );
          return;
        case "erased":
          this.#storage.sql.exec("DELETE FROM attempts WHERE delivery = ? AND number = ?", row.id, claim.number);
          if (current) this.#settle(row.id, "dropped");
          return;
        case "answered":
          this.#note(claim, outcome.status, outcome.duration, answerError(outcome.status));
          break;
        case "unanswered":
          this.#note(claim, null, outcome.duration, outcome.error);
      }
      if (outcome.kind === "answered" && outcome.status >= 200 && outcome.status < 300) {
        if (row.status === "pending") this.#settle(row.id, "succeeded");
        this.#storage.sql.exec("UPDATE endpoint SET failing_since = NULL");
        return;
      }
      if (current) this.#failed(row, outcome, now);
    });
  }

  #failed(row: DeliveryRow, outcome: Extract<AttemptOutcome, { kind: "answered" | "unanswered" }>, now: number): void {
    const { sql } = this.#storage;
    const gone = outcome.kind === "answered" && outcome.status === 410;
    const final = gone || (outcome.kind === "unanswered" && outcome.final);
    const retryAfter = outcome.kind === "answered" ? outcome.retryAfter : null;
    const pause = final ? null : nextTry(this.#settings.WEBHOOK_RETRY_S, row.tries, retryAfter);
    if (pause === null) this.#settle(row.id, "dead");
    else sql.exec("UPDATE deliveries SET due = ? WHERE id = ?", Math.ceil(now + pause), row.id);
    // What requests name are different addresses: the failure of one says nothing about the next.
    if (row.url !== null) return;
    sql.exec("UPDATE endpoint SET failing_since = COALESCE(failing_since, ?)", now);
    const since = this.#endpoint().failing_since ?? now;
    if (gone) {
      this.#disable("gone", "It answered 410: it wants no more messages.", now);
    } else if (now - since >= this.#settings.WEBHOOK_DISABLE_AFTER_S) {
      const last = outcome.kind === "answered" ? `an answer of ${outcome.status}` : outcome.error;
      this.#disable("failing", `Nothing was delivered since ${new Date(since).toISOString()}; the last: ${last}`, now);
    }
  }

  /** Everything that is waiting becomes a dead letter, which can be replayed once the endpoint is enabled again. */
  #disable(reason: (typeof disabledReasons)[number], detail: string, now: number): void {
    this.#storage.sql.exec(
      "UPDATE endpoint SET disabled_at = ?, disabled_reason = ?, disabled_detail = ? WHERE disabled_at IS NULL",
      now,
      reason,
      detail,
    );
    this.#storage.sql.exec("UPDATE deliveries SET status = 'dead', due = NULL WHERE status = 'pending'");
  }

  /** Sends it again, from the beginning of the schedule. Nothing happens while an attempt is under way. */
  redeliver(id: string, now: number): void {
    this.#commit(now, () => {
      const row = this.#find(id);
      if (row === undefined || (row.status === "pending" && this.#underWay(row))) return;
      this.#storage.sql.exec("UPDATE deliveries SET status = 'pending', due = ?, tries = 0 WHERE id = ?", now, id);
    });
  }

  /** Queues every dead letter again; answers how many there were. */
  replayDeadLetters(now: number): number {
    return this.#commit(now, () => {
      const replayed = this.#count("status = 'dead'");
      this.#storage.sql.exec("UPDATE deliveries SET status = 'pending', due = ?, tries = 0 WHERE status = 'dead'", now);
      return replayed;
    });
  }

  delivery(id: string): WebhookDelivery | null {
    const row = this.#find(id);
    return row === undefined ? null : (this.#present([row])[0] ?? null);
  }

  /** A page, newest first. */
  deliveries(page: {
    status?: DeliveryStatus | undefined;
    cursor?: string | undefined;
    limit: number;
  }): WebhookDeliveryPage {
    const conditions = ["1"];
    const bindings: (string | number)[] = [];
    if (page.status !== undefined) {
      conditions.push("status = ?");
      bindings.push(page.status);
    }
    if (page.cursor !== undefined) {
      conditions.push("rowid < (SELECT rowid FROM deliveries WHERE id = ?)");
      bindings.push(page.cursor);
    }
    // One more than asked for tells whether there is a next page.
    const query = `SELECT * FROM deliveries WHERE ${conditions.join(" AND ")} ORDER BY rowid DESC LIMIT ?`;
    const rows = this.#storage.sql.exec<DeliveryRow>(query, ...bindings, page.limit + 1).toArray();
    const data = this.#present(rows.slice(0, page.limit));
    return { object: "list", data, next_cursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null };
  }

  purge(now: number): void {
    this.#commit(now, () => {
      const before = now - this.#settings.WEBHOOK_LOG_S;
      const { sql } = this.#storage;
      sql.exec("DELETE FROM deliveries WHERE status <> 'pending' AND created_at < ?", before);
      sql.exec("DELETE FROM attempts WHERE delivery NOT IN (SELECT id FROM deliveries)");
      sql.exec("DELETE FROM secrets WHERE expires_at <= ?", now);
      this.timers.set("purge", now + purgeEvery);
    });
  }

  get account(): string {
    return this.#endpoint().account;
  }

  get disabled(): boolean {
    return this.#endpoint().disabled_at !== null;
  }

  #present(rows: readonly DeliveryRow[]): WebhookDelivery[] {
    const { url } = this.#endpoint();
    return rows.map((row) => {
      const status = deliveryStatus.parse(row.status);
      return {
        id: row.id,
        object: "webhook_delivery",
        type: sentType.parse(row.type),
        subject: row.subject,
        url: row.url ?? url ?? "",
        status,
        created_at: new Date(row.created_at).toISOString(),
        next_attempt_at: this.#underWay(row) ? null : timestamp(row.due),
        attempts: this.#attempts(row.id),
      };
    });
  }

  #attempts(id: string): WebhookAttempt[] {
    return this.#storage.sql
      .exec<AttemptRow>("SELECT * FROM attempts WHERE delivery = ? ORDER BY number", id)
      .toArray()
      .map(({ at, status, duration, error }) => ({
        at: new Date(at).toISOString(),
        status,
        duration_ms: duration,
        error,
      }));
  }

  #underWay(row: DeliveryRow): boolean {
    const open = "SELECT 1 FROM attempts WHERE delivery = ? AND number = ? AND duration IS NULL AND error IS NULL";
    return row.status === "pending" && this.#storage.sql.exec(open, row.id, row.claim).toArray().length > 0;
  }

  #note(claim: DeliveryClaim, status: number | null, duration: number, error: string | null): void {
    this.#storage.sql.exec(
      "UPDATE attempts SET status = ?, duration = ?, error = ? WHERE delivery = ? AND number = ?",
      status,
      duration,
      error,
      claim.event.id,
      claim.number,
    );
  }

  #settle(id: string, status: Exclude<DeliveryStatus, "pending">): void {
    this.#storage.sql.exec("UPDATE deliveries SET status = ?, due = NULL WHERE id = ?", status, id);
  }

  #count(condition: string): number {
    return this.#storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM deliveries WHERE ${condition}`).one().n;
  }

  #validSecrets(now: number): { secret: string; expires_at: number | null }[] {
    return this.#storage.sql
      .exec<{ secret: string; expires_at: number | null }>(
        "SELECT secret, expires_at FROM secrets WHERE expires_at IS NULL OR expires_at > ? ORDER BY expires_at IS NOT NULL",
        now,
      )
      .toArray();
  }

  #find(id: string): DeliveryRow | undefined {
    return this.#storage.sql.exec<DeliveryRow>("SELECT * FROM deliveries WHERE id = ?", id).toArray()[0];
  }

  #endpoint(): EndpointRow {
    const row = this.#storage.sql.exec<EndpointRow>("SELECT * FROM endpoint").toArray()[0];
    if (!row) throw new Error("there is no endpoint in this object");
    return row;
  }

  #commit<Value>(now: number, change: () => Value): Value {
    return this.#storage.transactionSync(() => {
      const value = change();
      const { due } = this.#storage.sql
        .exec<{ due: number | null }>("SELECT MIN(due) AS due FROM deliveries WHERE status = 'pending'")
        .one();
      if (due === null) this.timers.clear("deliver");
      // What is due already is taken at once by whoever made it so; the alarm is for when that did not come about.
      else this.timers.set("deliver", Math.max(due, now + overdueGrace));
      this.timers.arm();
      return value;
    });
  }
}

function answerError(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) return "Redirects are not followed.";
  if (status === 410) return "It wants no more messages.";
  return `It answered ${status}.`;
}
