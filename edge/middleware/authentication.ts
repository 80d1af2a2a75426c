/** Who asks, whether they may, and whether it is not too often. */
import type { Scope } from "@omni-iml/shared/accounts";
import { Problem } from "@omni-iml/shared/problems";
import { getCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { authenticate, authenticateSession } from "../accounts/authenticate.ts";
import { addressOf, requirePlaygroundRoom, requireSameOrigin, sessionCookie } from "../sessions/playground-session.ts";
import type { App } from "./app-types.ts";

/** Seconds by which the quota's window is described; it is really the calendar month, UTC, that `t` counts down. */
const month = 30 * 86_400;

/** Sets `caller` and spends one token of the account's bucket; answers carry the RateLimit fields (draft 11). */
export const authentication = createMiddleware<App>(async (context, next) => {
  const { env, req, executionCtx } = context;
  const authorization = req.header("authorization");
  // A key that is shown counts, whatever else the browser sends along.
  const session = authorization === undefined ? getCookie(context, sessionCookie) : undefined;
  const later = (work: Promise<unknown>) => executionCtx.waitUntil(work);
  if (session !== undefined) requireSameOrigin(req.raw);
  const asking =
    session === undefined
      ? authenticate(authorization, env.DATABASE, later)
      : authenticateSession(session, env.DATABASE, later);
  const caller = await asking.catch(async (error: unknown) => {
    // Keys that cannot be looked up at the moment are no failed attempts of whoever sends them.
    if (!(error instanceof Problem)) {
      throw new Problem("overloaded", "Keys cannot be looked up at the moment.", { retryAfter: 5, cause: error });
    }
    const { success } = await env.FAILED_AUTHENTICATION.limit({ key: addressOf(req.raw) });
    if (success) throw error;
    const detail = "Too many requests without a valid API key came from this address.";
    throw new Problem("rate_limited", detail, { retryAfter: 60, cause: error });
  });
  context.set("caller", caller);
  if (caller.playground) requirePlaygroundRoom(req.path);
  const rate = await env.ACCOUNTS.getByName(caller.account).take(caller.limits);
  const { requestsPerMinute, monthlyQuota } = caller.limits;
  context.header("ratelimit-policy", `"requests";q=${requestsPerMinute};w=60, "analyses";q=${monthlyQuota};w=${month}`);
  context.header(
    "ratelimit",
    `"requests";r=${rate.remaining};t=${rate.reset}, "analyses";r=${rate.quota.remaining};t=${rate.quota.reset}`,
  );
  if (!rate.allowed) {
    const detail = `This account may send ${requestsPerMinute} requests a minute.`;
    throw new Problem("rate_limited", detail, { retryAfter: rate.reset });
  }
  await next();
});

/** Lets only keys of the accounts pass that run this deployment. */
export const requireOperator = createMiddleware<App>(async (context, next) => {
  if (!context.get("caller").operator) throw new Problem("forbidden", "Only an operator's account may do that.");
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
