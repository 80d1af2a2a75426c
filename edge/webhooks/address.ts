/** Whether an address can be a webhook's: what can be said before anything is sent. The rest is Egress's business. */
import { isPublicAddress, isPublicName, literalAddress } from "../egress/public-address.ts";
import type { Settings } from "../environment.ts";
import { invalidField } from "../middleware/problem-response.ts";

/**
 * Refuses addresses that no message will ever go to. This machine passes where there is an egress proxy, which knows
 * whether it is allowed, and only towards this machine http will do. `path` is the field's in the request.
 */
export function checkWebhookAddress(settings: Settings, address: string, path: string): void {
  const url = new URL(address);
  const literal = literalAddress(url.hostname);
  const local = settings.EGRESS_PROXY_URL !== null && isThisMachine(url.hostname, literal);
  const isPublic = literal === null ? isPublicName(url.hostname) : isPublicAddress(literal);
  if (!isPublic && !local) throw invalidField(path, `${url.hostname} is not a public address`);
  if (url.protocol !== "https:" && !local) throw invalidField(path, "must be an https address");
  if (url.username !== "" || url.password !== "") throw invalidField(path, "must not hold a user name or a password");
}

function isThisMachine(hostname: string, literal: string | null): boolean {
  return literal === null ? hostname === "localhost" : !isPublicAddress(literal) && isPublicAddress(literal, true);
}
