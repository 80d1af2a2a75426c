/** Who asks, whether they may, and whether it is not too often. */
import type { Scope } from "@omni-iml/shared/accounts";
import { Problem } from "@omni-iml/shared/problems";
import { createMiddleware } from "hono/factory";
import { authenticate } from "../accounts/authenticate.ts";
import type { App } from "./app-types.ts";

/** Sets `caller` and spends one token of the account's bucket; answers carry the RateLimit fields (draft 11). */
export const authentication = createMiddleware<App>(async (context, next) => {
  const { env, req, executionCtx } = context;
  const caller = await authenticate(req.header("authorization"), env.DATABASE, (work) =>
    executionCtx.waitUntil(work),
  ).catch(async (error: unknown) => {
    const address = req.header("cf-connecting-ip") ?? "unknown";
    const { success } = await env.FAILED_AUTHENTICATION.limit({ key: address });
    if (success) throw error;
    const detail = "Too many requests without a valid API key came from this address.";
    throw new Problem("rate_limited", detail, { retryAfter: 60, cause: error });
  });
  context.set("caller", caller);
  const rate = await env.ACCOUNTS.getByName(caller.account).take(caller.limits);
  context.header("ratelimit-policy", `"requests";q=${caller.limits.requestsPerMinute};w=60`);
  context.header("ratelimit", `"requests";r=${rate.remaining};t=${rate.reset}`);
  if (!rate.allowed) {
    const detail = `This account may send ${caller.limits.requestsPerMinute} requests a minute.`;
    throw new Problem("rate_limited", detail, { retryAfter: rate.reset });
  }
  await next();
});

/** Lets only keys with this scope pass. */
export function requireScope(scope: Scope) {
  return createMiddleware<App>(async (context, next) => {
    if (!context.get("caller").scopes.includes(scope)) {
      throw new Problem("forbidden", `The key has no scope ${scope}.`);
    }
    await next();
  });
}
