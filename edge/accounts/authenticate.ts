/** From the key in a request to the account that sends it. */
import { Problem } from "@omni-iml/shared/problems";
import { log } from "../log.ts";
import { hashSecret, parseApiKey, sameHash } from "./api-key.ts";

export interface AccountLimits {
  requestsPerMinute: number;
  inFlight: number;
  monthlyQuota: number;
}

export interface Caller {
  account: string;
  /** The id of the key. */
  key: string;
  /** Whether the account is one of those that run this deployment. */
  operator: boolean;
  scopes: readonly string[];
  limits: AccountLimits;
  /** Milliseconds for which the account wants its results kept; `null`: as the deployment says. */
  retention: number | null;
  /** A browser without a key (sessions/). */
  playground: boolean;
  /** Unix milliseconds; `null`: never. */
  keyExpiresAt: number | null;
}

type KeyRow = {
  id: string;
  account_id: string;
  secret_sha256: string;
  scopes: string;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
  disabled_at: number | null;
  requests_per_minute: number;
  in_flight_limit: number;
  monthly_quota: number;
  retention_s: number | null;
  operator: number;
  playground: number;
};

const query = `
SELECT k.id, k.account_id, k.secret_sha256, k.scopes, k.expires_at, k.last_used_at, k.revoked_at,
       a.disabled_at, a.requests_per_minute, a.in_flight_limit, a.monthly_quota, a.retention_s, a.operator, a.playground
FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.lookup = ?`;

/** `last_used_at` is for people who tidy up their keys: a minute's precision is enough. */
const lastUsedPrecision = 60_000;
/** Compared where there is no such key, so that its absence takes as long as a wrong secret. */
const noHash = "0".repeat(64);

/** The caller behind an `Authorization` header. Throws `unauthorized` in the same words whatever is wrong with the key. */
export async function authenticate(
  authorization: string | undefined,
  database: D1Database,
  later: (work: Promise<unknown>) => void,
): Promise<Caller> {
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
  if (token === undefined) throw new Problem("unauthorized", "The request carries no API key.");
  return callerBehind(token, false, database, later);
}

/** The caller behind the cookie of a playground session. No key of any other account is taken from a cookie. */
export function authenticateSession(
  token: string,
  database: D1Database,
  later: (work: Promise<unknown>) => void,
): Promise<Caller> {
  return callerBehind(token, true, database, later);
}

async function callerBehind(
  token: string,
  playground: boolean,
  database: D1Database,
  later: (work: Promise<unknown>) => void,
): Promise<Caller> {
  const parts = parseApiKey(token);
  const now = Date.now();
  const row = parts ? await database.prepare(query).bind(parts.lookup).first<KeyRow>() : null;
  const matches = sameHash(await hashSecret(parts?.secret ?? ""), row?.secret_sha256 ?? noHash);
  const valid =
    matches &&
    row !== null &&
    (row.playground === 1) === playground &&
    row.revoked_at === null &&
    row.disabled_at === null &&
    (row.expires_at === null || row.expires_at > now);
  if (!valid) {
    const what = playground ? "playground session" : "API key";
    throw new Problem("unauthorized", `The ${what} is unknown, has expired or was revoked.`);
  }
  if ((row.last_used_at ?? 0) < now - lastUsedPrecision) {
    const update = database.prepare("UPDATE api_keys SET last_used_at = ? WHERE id = ?").bind(now, row.id).run();
    later(update.catch((error: unknown) => log("warn", "last use of a key was not noted", { key: row.id, error })));
  }
  return {
    account: row.account_id,
    key: row.id,
    operator: row.operator === 1,
    scopes: row.scopes.split(" "),
    limits: {
      requestsPerMinute: row.requests_per_minute,
      inFlight: row.in_flight_limit,
      monthlyQuota: row.monthly_quota,
    },
    retention: row.retention_s === null ? null : row.retention_s * 1000,
    playground,
    keyExpiresAt: row.expires_at,
  };
}
