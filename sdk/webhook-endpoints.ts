/** `client.webhooks.endpoints`: where an account is told what happens, and what came of telling. */
import { readResource } from "./answer.ts";
import { Page } from "./page.ts";
import type {
  CreatedWebhookEndpoint,
  NewWebhookEndpoint,
  RotateWebhookSecret,
  WebhookDelivery,
  WebhookDeliveryPage,
  WebhookEndpoint,
  WebhookEndpointChange,
  WebhookEndpointList,
  WebhookReplay,
  WebhookSecret,
} from "./resources.ts";
import type { CallOptions, Transport, WriteOptions } from "./transport.ts";

const root = "/v1/webhook-endpoints";

export interface ListDeliveriesParams {
  /** Of one page, up to 100. */
  limit?: number | undefined;
  cursor?: string | undefined;
  status?: WebhookDelivery["status"] | undefined;
}

export class WebhookEndpoints {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The answer has the secret that signs this endpoint's messages. */
  async create(params: NewWebhookEndpoint, options: WriteOptions = {}): Promise<CreatedWebhookEndpoint> {
    const response = await this.#transport.send({ method: "POST", path: root, json: params, ...options });
    return readResource<CreatedWebhookEndpoint>(response, "webhook_endpoint");
  }

  /** Oldest first; the last one stands for webhooks that requests name themselves. */
  async list(options: CallOptions = {}): Promise<WebhookEndpoint[]> {
    const response = await this.#transport.send({ method: "GET", path: root, ...options });
    return (await readResource<WebhookEndpointList>(response, "list")).data;
  }

  async retrieve(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    const response = await this.#transport.send({ method: "GET", path: pathOf(id), ...options });
    return readResource<WebhookEndpoint>(response, "webhook_endpoint");
  }

  async update(id: string, change: WebhookEndpointChange, options: CallOptions = {}): Promise<WebhookEndpoint> {
    const response = await this.#transport.send({ method: "PATCH", path: pathOf(id), json: change, ...options });
    return readResource<WebhookEndpoint>(response, "webhook_endpoint");
  }

  /** With its log and what was not delivered yet. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ method: "DELETE", path: pathOf(id), ...options });
  }

  async secret(id: string, options: CallOptions = {}): Promise<WebhookSecret> {
    const response = await this.#transport.send({ method: "GET", path: `${pathOf(id)}/secret`, ...options });
    return readResource<WebhookSecret>(response, "webhook_secret");
  }

  /** A new secret; messages carry the signatures of both until the old one expires. */
  async rotateSecret(id: string, params: RotateWebhookSecret = {}, options: WriteOptions = {}): Promise<WebhookSecret> {
    const call = { method: "POST", path: `${pathOf(id)}/rotate-secret`, json: params, ...options } as const;
    return readResource<WebhookSecret>(await this.#transport.send(call), "webhook_secret");
  }

  /** Sends `webhook.test` and answers how the first attempt went. */
  async test(id: string, options: WriteOptions = {}): Promise<WebhookDelivery> {
    const response = await this.#transport.send({ method: "POST", path: `${pathOf(id)}/test`, ...options });
    return readResource<WebhookDelivery>(response, "webhook_delivery");
  }

  /** Every message of the last 30 days with every attempt, newest first; `status: "dead"` are those given up. */
  deliveries(
    id: string,
    { cursor, ...params }: ListDeliveriesParams = {},
    options: CallOptions = {},
  ): Promise<Page<WebhookDelivery>> {
    return Page.first(cursor, async (from) => {
      const query = { ...params, cursor: from };
      const response = await this.#transport.send({
        method: "GET",
        path: `${pathOf(id)}/deliveries`,
        query,
        ...options,
      });
      return readResource<WebhookDeliveryPage>(response, "list");
    });
  }

  /** Delivers a message again, under the same `webhook-id`. */
  async redeliver(id: string, delivery: string, options: WriteOptions = {}): Promise<WebhookDelivery> {
    const path = `${pathOf(id)}/deliveries/${encodeURIComponent(delivery)}/redeliver`;
    const response = await this.#transport.send({ method: "POST", path, ...options });
    return readResource<WebhookDelivery>(response, "webhook_delivery");
  }

  /** Delivers everything again that was given up. */
  async replayDeadLetters(id: string, options: WriteOptions = {}): Promise<WebhookReplay> {
    const path = `${pathOf(id)}/dead-letters/replay`;
    const response = await this.#transport.send({ method: "POST", path, ...options });
    return readResource<WebhookReplay>(response, "webhook_replay");
  }
}

function pathOf(id: string): string {
  return `${root}/${encodeURIComponent(id)}`;
}
