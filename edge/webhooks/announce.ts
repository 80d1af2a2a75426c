/** From something that happened to every endpoint that wants to know. */
import type { RequestWebhook } from "@omni-iml/shared/webhooks";
import type { Environment } from "../environment.ts";
import type { WebhookEvent } from "./event.ts";
import { perRequestEndpoint, registeredEndpoints } from "./registry.ts";

/**
 * Hands the event to the account's endpoints and to the one that the request named. Each filters for itself and takes
 * the same event once, so that a caller that cannot tell how far it got announces again.
 */
export async function announce(
  env: Environment,
  account: string,
  event: WebhookEvent,
  webhook: RequestWebhook | null,
): Promise<void> {
  const registered = await registeredEndpoints(env.DATABASE, account);
  const told = registered.map((id) => env.ENDPOINTS.getByName(id).enqueue(account, event));
  if (webhook !== null) {
    const id = perRequestEndpoint(account);
    told.push(env.ENDPOINTS.getByName(id).enqueueForRequest(id, account, webhook, event));
  }
  await Promise.all(told);
}
