/** `/` is the playground's page, and `POST /v1/playground/session` what lets a browser use it without a key. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { playgroundRetention, playgroundSession } from "@omni-iml/shared/playground";
import { getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { authenticateSession, type Caller } from "../accounts/authenticate.ts";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";
import {
  createSession,
  forgetOldSessions,
  limitAddress,
  requireSameOrigin,
  sessionCookie,
  sessionLifetime,
} from "../sessions/playground-session.ts";
import { problems } from "./documentation.ts";
import { json, noQuery } from "./json.ts";

const session = createRoute({
  method: "post",
  path: "/v1/playground/session",
  operationId: "beginPlaygroundSession",
  summary: "Begin or go on with a playground session",
  description:
    "For the playground's own page: an anonymous account behind an HttpOnly cookie, with a small quota and results that " +
    "are kept for a day. A browser that has a session keeps it. Other clients use an API key.",
  security: [],
  request: { query: noQuery },
  responses: {
    200: { description: "The session.", content: json(playgroundSession) },
    ...problems("invalid_request"),
  },
});

/** The page, which may load what is its own, and the pictures that lie in storage. */
export function registerPlaygroundPage(app: OpenAPIHono<App>): void {
  app.get(
    "/",
    async (context, next) => {
      const storage = new URL(settings(context.env).S3_ENDPOINT).origin;
      return secureHeaders({
        contentSecurityPolicy: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          imgSrc: ["'self'", "blob:", "data:", storage],
          connectSrc: ["'self'", storage],
          manifestSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
          requireTrustedTypesFor: ["'script'"],
        },
        // The fragment of a shared link holds its token; a fragment is in no referrer, and neither is anything else.
        referrerPolicy: "no-referrer",
      })(context, next);
    },
    async (context) => {
      const page = await context.env.ASSETS.fetch(context.req.raw);
      return new Response(page.body, {
        status: page.status,
        headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" },
      });
    },
  );
}

/** Before the authentication: who asks has nothing yet to show. */
export function registerPlaygroundSession(app: OpenAPIHono<App>): void {
  app.openapi(session, async (context) => {
    const { env, executionCtx } = context;
    requireSameOrigin(context.req.raw);
    const now = Date.now();
    const later = (work: Promise<unknown>) => executionCtx.waitUntil(work);
    const known = getCookie(context, sessionCookie);
    let caller = known === undefined ? null : await authenticateSession(known, env.DATABASE, later).catch(() => null);
    if (caller === null) {
      await limitAddress(env.PLAYGROUND_SESSIONS, context.req.raw, "new playground sessions");
      const key = await createSession(env, now);
      caller = await authenticateSession(key, env.DATABASE, later);
      setCookie(context, sessionCookie, key, {
        path: "/v1",
        httpOnly: true,
        sameSite: "Strict",
        secure: new URL(context.req.url).protocol === "https:",
        maxAge: sessionLifetime / 1000,
      });
      later(
        forgetOldSessions(env, now).catch((error: unknown) =>
          log("warn", "old sessions were not forgotten", { error }),
        ),
      );
    }
    return context.json(await describe(env, caller, now), 200);
  });
}

async function describe(env: Environment, caller: Caller, now: number) {
  const today = new Date(now).toISOString().slice(0, 10);
  const { month } = await env.ACCOUNTS.getByName(caller.account).usage(caller.limits, today, today);
  return {
    object: "playground_session" as const,
    quota: { limit: month.quota, remaining: month.remaining, resets_at: month.resets_at },
    retention_s: playgroundRetention,
    expires_at: new Date(caller.keyExpiresAt ?? now).toISOString(),
  };
}
