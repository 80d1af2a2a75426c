/**
 * Signatures of Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body`, base64, as `v1,…`; several are separated by
 * spaces. A secret is `whsec_` and the base64 of its bytes. Uses nothing but WebCrypto.
 */
const prefix = "whsec_";
/** The specification asks for 24 to 64 bytes. */
const secretBytes = 24;

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

export function newWebhookSecret(): string {
  return prefix + toBase64(crypto.getRandomValues(new Uint8Array(secretBytes)));
}

export interface WebhookMessage {
  id: string;
  /** Unix seconds of the attempt. */
  timestamp: number;
  body: string;
}

/** The signature of `message` by `secret`. */
export async function webhookSignature(secret: string, message: WebhookMessage): Promise<string> {
  const raw = Uint8Array.from(atob(secret.slice(prefix.length)), (letter) => letter.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const content = new TextEncoder().encode(`${message.id}.${message.timestamp}.${message.body}`);
  return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign("HMAC", key, content)))}`;
}
