/**
 * One webhook endpoint: the single writer of its settings, its deliveries and their attempts, and the one that sends.
 *
 * What is to be sent and when is in delivery-log.ts; here is the sending. A message that was taken on is attempted until
 * it is delivered, dead or dropped: its due time stays in the log, with a lease while an attempt is under way, so that a
 * restart at any moment leads to one attempt too many rather than one too few. Receivers tell by `webhook-id`.
 */
import { DurableObject } from "cloudflare:workers";
import { webhookSignature } from "@omni-iml/shared/webhook-signature";
import {
  type DeliveryStatus,
  type RequestWebhook,
  testEventType,
  type WebhookDelivery,
  type WebhookDeliveryPage,
  type WebhookEndpoint,
  type WebhookEndpointChange,
  type WebhookSecret,
} from "@omni-iml/shared/webhooks";
import { EgressError, egress } from "../egress/egress.ts";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import { count, handOnSoon } from "../telemetry/metrics.ts";
import {
  type AttemptOutcome,
  type DeliveryClaim,
  DeliveryLog,
  type EndpointSettings,
  type EndpointTimer,
} from "./delivery-log.ts";
import { bodyOf, type WebhookEvent } from "./event.ts";
import { retryAfterOf } from "./schedule.ts";

/** Attempts of one endpoint at a time: receivers are other people's servers. */
const slots = 8;

export class EndpointObject extends DurableObject<Environment> {
  readonly #settings = settings(this.env);
  readonly #log = new DeliveryLog(this.ctx.storage, this.#settings);
  /** The attempts under way in this process, by the message's id. */
  readonly #sending = new Map<string, Promise<void>>();

  create(endpoint: EndpointSettings): WebhookEndpoint {
    this.#log.create(endpoint, Date.now());
    return this.#log.describe();
  }

  /** The endpoint, if it exists and is this account's; so with all that follows. */
  read(account: string): WebhookEndpoint | null {
    return this.#log.belongsTo(account) ? this.#log.describe() : null;
  }

  change(account: string, change: WebhookEndpointChange): WebhookEndpoint | null {
    if (!this.#log.belongsTo(account)) return null;
    this.#log.change(change, Date.now());
    return this.#log.describe();
  }

  /** Erases everything; attempts under way come to nothing. */
  async erase(account: string): Promise<void> {
    if (this.#log.belongsTo(account)) await this.ctx.storage.deleteAll();
  }

  secret(account: string): WebhookSecret | null {
    return this.#log.belongsTo(account) ? this.#log.secret(Date.now()) : null;
  }

  /** A new secret. The one so far goes on signing for `overlap` milliseconds. */
  rotateSecret(account: string, overlap: number): WebhookSecret | null {
    if (!this.#log.belongsTo(account)) return null;
    const now = Date.now();
    this.#log.rotateSecret(now + overlap, now);
    return this.#log.secret(now);
  }

  /** Takes the event on, if this endpoint wants it. May be repeated. */
  enqueue(account: string, event: WebhookEvent): void {
    if (!this.#log.belongsTo(account) || !this.#log.wants(event.type)) return;
    this.#log.add(event, null, Date.now());
    this.#pump();
  }

  /** As `enqueue`, for an address that a request named. `id` is this endpoint's own, should it not exist yet. */
  enqueueForRequest(id: string, account: string, webhook: RequestWebhook, event: WebhookEvent): void {
    const { url, events } = webhook;
    if (events !== undefined && !events.some((type) => type === event.type)) return;
    this.#log.create({ id, account, kind: "per_request", url: null, events: null, description: "" }, Date.now());
    if (!this.#log.belongsTo(account)) return;
    this.#log.add(event, url, Date.now());
    this.#pump();
  }

  /** Sends a test under the message id `id` and answers with its delivery after the first attempt. */
  async sendTest(account: string, id: string): Promise<WebhookDelivery | "disabled" | null> {
    if (!this.#log.belongsTo(account)) return null;
    if (this.#log.disabled) return "disabled";
    const data = JSON.stringify({ endpoint: this.#log.describe().id });
    const event = { id, type: testEventType, at: Date.now(), subject: null, data } as const;
    this.#log.add(event, null, Date.now());
    this.#pump();
    await this.#sending.get(event.id);
    return this.#log.exists() ? this.#log.delivery(event.id) : null;
  }

  deliveries(
    account: string,
    page: { status?: DeliveryStatus | undefined; cursor?: string | undefined; limit: number },
  ): WebhookDeliveryPage | null {
    return this.#log.belongsTo(account) ? this.#log.deliveries(page) : null;
  }

  delivery(account: string, id: string): WebhookDelivery | null {
    return this.#log.belongsTo(account) ? this.#log.delivery(id) : null;
  }

  redeliver(account: string, id: string): WebhookDelivery | "disabled" | null {
    if (!this.#log.belongsTo(account) || this.#log.delivery(id) === null) return null;
    if (this.#log.disabled) return "disabled";
    this.#log.redeliver(id, Date.now());
    this.#pump();
    return this.#log.delivery(id);
  }

  replayDeadLetters(account: string): number | "disabled" | null {
    if (!this.#log.belongsTo(account)) return null;
    if (this.#log.disabled) return "disabled";
    const replayed = this.#log.replayDeadLetters(Date.now());
    this.#pump();
    return replayed;
  }

  /** Never throws: what fails here is due again by its timer. */
  override alarm(): void {
    if (!this.#log.exists()) return;
    try {
      for (const kind of this.#log.timers.takeDue(Date.now())) this.#handlers[kind]();
    } catch (error) {
      log("error", "an alarm failed", { endpoint: this.ctx.id.name, error });
    } finally {
      if (this.#log.exists()) this.#log.timers.arm();
    }
  }

  readonly #handlers: Record<EndpointTimer, () => void> = {
    deliver: () => this.#pump(),
    purge: () => this.#log.purge(Date.now()),
  };

  /** Starts as many attempts as are due and have room. */
  #pump(): void {
    const room = slots - this.#sending.size;
    if (room <= 0 || !this.#log.exists()) return;
    for (const claim of this.#log.claim(room, Date.now())) {
      const { id } = claim.event;
      const over = this.#deliver(claim).finally(() => {
        if (this.#sending.get(id) === over) this.#sending.delete(id);
        this.#pump();
      });
      this.#sending.set(id, over);
      this.ctx.waitUntil(over);
    }
  }

  /** One attempt, from the claim to its entry in the log. Never throws: without an entry the lease brings it up again. */
  async #deliver(claim: DeliveryClaim): Promise<void> {
    try {
      const outcome = await this.#attempt(claim);
      this.#log.finish(claim, outcome, Date.now());
      count("omni_edge_webhook_attempts_total", { outcome: nameOf(outcome) });
      handOnSoon(this.env, (work) => this.ctx.waitUntil(work));
    } catch (error) {
      log("error", "an attempt to deliver a webhook broke off", {
        endpoint: this.ctx.id.name,
        event: claim.event.id,
        error,
      });
    }
  }

  async #attempt({ event, url }: DeliveryClaim): Promise<AttemptOutcome> {
    const body = await bodyOf(this.env, this.#log.account, event);
    if (body === null) return { kind: "erased" };
    const started = Date.now();
    const duration = () => Date.now() - started;
    try {
      const answer = await egress(this.#settings, {
        method: "POST",
        url,
        headers: await this.#headers(event.id, body, started),
        body,
        timeout: this.#settings.WEBHOOK_TIMEOUT_S,
        maxBytes: 0,
      });
      const outcome = {
        status: answer.status,
        retryAfter: retryAfterOf(answer.headers, Date.now()),
        duration: duration(),
      };
      // What a receiver says besides its status is of no interest here.
      await answer.cancel();
      return { kind: "answered", ...outcome };
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      if (error.reason === "egress_unavailable") return { kind: "unsent" };
      const final = error.reason === "address_refused" || error.reason === "invalid_address";
      return { kind: "unanswered", error: error.message, final, duration: duration() };
    }
  }

  async #headers(id: string, body: string, now: number): Promise<Record<string, string>> {
    const timestamp = Math.floor(now / 1000);
    const secrets = this.#log.signingSecrets(now);
    const signatures = await Promise.all(secrets.map((secret) => webhookSignature(secret, { id, timestamp, body })));
    return {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatures.join(" "),
    };
  }
}

function nameOf(outcome: AttemptOutcome): string {
  if (outcome.kind !== "answered") return outcome.kind;
  return outcome.status >= 200 && outcome.status < 300 ? "delivered" : "refused";
}
