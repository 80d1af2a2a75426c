/** Whether an address can be a webhook's: what can be said before anything is sent. The rest is Egress's business. */
import { Problem } from "@omni-iml/shared/problems";
import { isPublicAddress, isPublicName, literalAddress } from "../egress/public-address.ts";
import type { Settings } from "../environment.ts";

/**
 * Refuses addresses that no message will ever go to. This machine passes where there is an egress proxy, which knows
 * whether it is allowed, and only towards this machine http will do. `path` is the field's in the request.
 */
export function checkWebhookAddress(settings: Settings, address: string, path: string): void {
  const url = new URL(address);
  const literal = literalAddress(url.hostname);
  const local = settings.EGRESS_PROXY_URL !== null && isThisMachine(url.hostname, literal);
  const isPublic = literal === null ? isPublicName(url.hostname) : isPublicAddress(literal);
  if (!isPublic && !local) throw refusal(path, `${url.hostname} is not a public address`);
  if (url.protocol !== "https:" && !local) throw refusal(path, "must be an https address");
  if (url.username !== "" || url.password !== "") throw refusal(path, "must not hold a user name or a password");
}

function isThisMachine(hostname: string, literal: string | null): boolean {
  return literal === null ? hostname === "localhost" : !isPublicAddress(literal) && isPublicAddress(literal, true);
}

function refusal(path: string, message: string): Problem {
  return new Problem("invalid_request", `${path}: ${message}`, { errors: [{ path, message }] });
}
