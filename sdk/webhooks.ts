/** `client.webhooks`: what the service sends, verified; and where it sends it. */
import { WebhookVerificationError } from "./errors.ts";
import type { WebhookMessage } from "./resources.ts";
import type { Transport } from "./transport.ts";
import { WebhookEndpoints } from "./webhook-endpoints.ts";

/** The headers of a request, as `fetch` or as Node's `http` has them. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Seconds by which a message's time may differ from this machine's, as Standard Webhooks recommends. */
const tolerance = 300;
const prefix = "whsec_";

/**
 * The message in a webhook request, once its signature by `secret` (`whsec_…`) is verified as Standard Webhooks says.
 * `body` must be the request's body as it came, before anything parsed it. A message may come more than once: its
 * `webhook-id` header stays the same. Throws {@link WebhookVerificationError}. Needs no API key and no client.
 */
export async function unwrapWebhook(
  body: string | Uint8Array<ArrayBuffer>,
  headers: WebhookHeaders,
  secret: string,
  now: number = Date.now(),
): Promise<WebhookMessage> {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) =>
    header(headers, `webhook-${name}`),
  );
  if (!id || !timestamp || !signatures) {
    throw new WebhookVerificationError("webhook-id, webhook-timestamp or webhook-signature is missing");
  }
  if (!/^\d+$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > tolerance) {
    throw new WebhookVerificationError(
      `webhook-timestamp differs by more than ${tolerance} s from this machine's time`,
    );
  }
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  if (!(await isSigned(`${id}.${timestamp}.${text}`, signatures, secret))) {
    throw new WebhookVerificationError("no signature is by this secret: use the endpoint's, and the body as it came");
  }
  const message = parseJson(text);
  if (!isMessage(message)) throw new WebhookVerificationError("the body is signed, but no message with type and data");
  return message;
}

export class Webhooks {
  /** Register, change and remove endpoints, read their log, deliver again. */
  readonly endpoints: WebhookEndpoints;
  readonly #secret: string | undefined;

  constructor(transport: Transport, secret: string | undefined) {
    this.endpoints = new WebhookEndpoints(transport);
    this.#secret = secret;
  }

  /** {@link unwrapWebhook} with the client's `webhookSecret`, unless another one is given. */
  async unwrap(
    body: string | Uint8Array<ArrayBuffer>,
    headers: WebhookHeaders,
    secret: string | undefined = this.#secret,
  ): Promise<WebhookMessage> {
    if (secret === undefined) throw new TypeError("give the client a webhookSecret, or unwrap a secret");
    return unwrapWebhook(body, headers, secret);
  }
}

function header(headers: WebhookHeaders, name: string): string | null {
  if (typeof headers.get === "function") return headers.get(name);
  for (const [key, value] of Object.entries(headers)) {
    if (key.toLowerCase() === name) return typeof value === "string" ? value : null;
  }
  return null;
}

async function isSigned(content: string, signatures: string, secret: string): Promise<boolean> {
  const raw = bytes(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret);
  if (raw === null) throw new TypeError("a webhook secret is whsec_ and base64");
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  for (const candidate of signatures.split(" ")) {
    const signature = candidate.startsWith("v1,") ? bytes(candidate.slice("v1,".length)) : null;
    // WebCrypto compares in constant time.
    if (signature && (await crypto.subtle.verify("HMAC", key, signature, new TextEncoder().encode(content))))
      return true;
  }
  return false;
}

/** The bytes of base64 text, or `null` where it is none. */
function bytes(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

/** What the text says, or `null` where it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isMessage(value: unknown): value is WebhookMessage {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" && "data" in value
  );
}
