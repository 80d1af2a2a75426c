/**
 * Playground sessions: an account for a browser that has no key, with a small quota and short retention. What the cookie
 * carries is a key of that account, which no `Authorization` header opens anything with (accounts/authenticate.ts).
 */
import { newId } from "@omni-iml/shared/ids";
import { playgroundQuota, playgroundRetention } from "@omni-iml/shared/playground";
import { Problem } from "@omni-iml/shared/problems";
import ipaddr from "ipaddr.js";
import { accountCreation } from "../accounts/account-table.ts";
import { keyCreation } from "../accounts/key-table.ts";
import type { Environment } from "../environment.ts";
import type { Submission } from "../routes/submission.ts";

export const sessionCookie = "omni_playground";
/** Milliseconds for which a session is good. */
export const sessionLifetime = 30 * 86_400_000;
/** Its last analyses have ended and are erased by then. */
const forgottenAfter = sessionLifetime + 3 * 86_400_000;
/** Accounts that one creation tidies away, so that none takes long. */
const mostForgotten = 20;

const limits = { requests_per_minute: 240, in_flight_limit: 3, monthly_quota: playgroundQuota };

/** Makes the account; answers the text of its key. */
export async function createSession(env: Environment, now: number): Promise<string> {
  const account = newId("account", now);
  const creation = accountCreation(
    env.DATABASE,
    account,
    { name: "playground", retention_s: playgroundRetention, ...limits },
    now,
  );
  const settings = { name: "playground session", scopes: ["read", "write"] as const, expiresAt: now + sessionLifetime };
  const { statement, created } = await keyCreation(env.DATABASE, account, newId("apiKey", now), settings, now);
  const mark = env.DATABASE.prepare("UPDATE accounts SET playground = 1 WHERE id = ?").bind(account);
  await env.DATABASE.batch([creation, mark, statement]);
  if (created.key === null) throw new Error("a new key is shown");
  return created.key;
}

/** Removes accounts whose sessions are long over, and what was counted of them. */
export async function forgetOldSessions(env: Environment, now: number): Promise<void> {
  const query = "SELECT id FROM accounts WHERE playground = 1 AND created_at < ? LIMIT ?";
  const { results } = await env.DATABASE.prepare(query)
    .bind(now - forgottenAfter, mostForgotten)
    .all<{ id: string }>();
  for (const { id } of results) {
    await env.ACCOUNTS.getByName(id).forget();
    await env.DATABASE.batch([
      env.DATABASE.prepare("DELETE FROM api_keys WHERE account_id = ?").bind(id),
      env.DATABASE.prepare("DELETE FROM accounts WHERE id = ? AND playground = 1").bind(id),
    ]);
  }
}

/**
 * Throws unless the request comes from this service's own pages, as far as its headers tell. Browsers name the origin of
 * everything that is not a plain read; clients that name none carry no cookie that somebody else could have used.
 */
export function requireSameOrigin(request: Request): void {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  const foreignSite = site !== null && site !== "same-origin" && site !== "none";
  const foreignOrigin = origin !== null && hostOf(origin) !== new URL(request.url).host;
  if (foreignSite || foreignOrigin) {
    throw new Problem(
      "forbidden",
      "A playground session is for the playground's own page; other pages need an API key.",
    );
  }
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

const rooms = /^\/v1\/(analyses|usage|playground|models)(\/|$)/;

/** Throws where a session has no business: batches, uploads, webhooks and keys are for accounts. */
export function requirePlaygroundRoom(path: string): void {
  if (!rooms.test(path)) throw new Problem("forbidden", `A playground session does not reach ${path}; use an API key.`);
}

/** Throws where a session asks for more than its own picture, kept for a day. */
export function requirePlaygroundSubmission({ source, webhook, options }: Submission): void {
  if (source.kind !== "body")
    throw new Problem("forbidden", "The playground takes the image itself, nothing that names one.");
  if (webhook !== null) throw new Problem("forbidden", "The playground sends no webhooks; use an API key.");
  if ((options.retention_s ?? 0) > playgroundRetention) {
    throw new Problem("forbidden", `The playground keeps results for at most ${playgroundRetention} seconds.`);
  }
}

/** Whom a request is counted for that shows no key: its address; of IPv6 the network, all of whose addresses one has. */
export function addressOf(request: Request): string {
  const address = request.headers.get("cf-connecting-ip") ?? "unknown";
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(":")}::/64`
    : parsed.toString();
}

/** Throws when this address has used up what `limiter` allows it in a minute. */
export async function limitAddress(limiter: RateLimit, request: Request, what: string): Promise<void> {
  const { success } = await limiter.limit({ key: addressOf(request) });
  if (!success) {
    throw new Problem("rate_limited", `Too many ${what} came from this address.`, { retryAfter: 60 });
  }
}
