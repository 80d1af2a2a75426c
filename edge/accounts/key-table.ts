/** The D1 table `api_keys`, as far as keys are managed by it; who a key belongs to is asked in authenticate.ts. */
import { type ApiKey, type CreatedApiKey, type Scope, scopes } from "@omni-iml/shared/accounts";
import { Problem } from "@omni-iml/shared/problems";
import { z } from "zod";
import { keyPrefix, newApiKey } from "./api-key.ts";

/** Live keys of one account. */
export const mostKeys = 100;

const row = z.object({
  id: z.string(),
  lookup: z.string(),
  name: z.string(),
  scopes: z.string(),
  created_at: z.number(),
  expires_at: z.number().nullable(),
  last_used_at: z.number().nullable(),
  revoked_at: z.number().nullable(),
});
type Row = z.infer<typeof row>;

const columns = "id, lookup, name, scopes, created_at, expires_at, last_used_at, revoked_at";
const live = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)";

const timestamp = (time: number | null) => (time === null ? null : new Date(time).toISOString());

function present(key: Row): ApiKey {
  const granted = key.scopes.split(" ");
  return {
    id: key.id,
    object: "api_key",
    name: key.name,
    prefix: keyPrefix(key.lookup),
    scopes: scopes.filter((scope) => granted.includes(scope)),
    created_at: new Date(key.created_at).toISOString(),
    expires_at: timestamp(key.expires_at),
    last_used_at: timestamp(key.last_used_at),
    revoked_at: timestamp(key.revoked_at),
  };
}

/** All keys of an account, revoked ones too, newest first. */
export async function listKeys(database: D1Database, account: string): Promise<ApiKey[]> {
  const query = `SELECT ${columns} FROM api_keys WHERE account_id = ? ORDER BY id DESC`;
  const { results } = await database.prepare(query).bind(account).all();
  return z.array(row).parse(results).map(present);
}

async function findKey(database: D1Database, account: string, id: string): Promise<Row | null> {
  const query = `SELECT ${columns} FROM api_keys WHERE account_id = ? AND id = ?`;
  return row.nullable().parse(await database.prepare(query).bind(account, id).first());
}

/** The key, or `not_found`. */
export async function readKey(database: D1Database, account: string, id: string): Promise<ApiKey> {
  const found = await findKey(database, account, id);
  if (found === null) throw new Problem("not_found", `There is no API key ${id}.`);
  return present(found);
}

export interface KeySettings {
  name: string;
  scopes: readonly Scope[];
  /** Unix milliseconds. */
  expiresAt: number | null;
}

/** The statement that stores a new key, and the key. A second one with this id takes the place of the first. */
export async function keyCreation(
  database: D1Database,
  account: string,
  id: string,
  { name, scopes: granted, expiresAt }: KeySettings,
  now: number,
): Promise<{ statement: D1PreparedStatement; created: CreatedApiKey }> {
  const { key, lookup, secretSha256 } = await newApiKey();
  const list = granted.join(" ");
  const statement = database
    .prepare(
      `INSERT OR REPLACE INTO api_keys (id, account_id, lookup, secret_sha256, name, scopes, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(id, account, lookup, secretSha256, name, list, now, expiresAt);
  const stored = { id, lookup, name, scopes: list, created_at: now, expires_at: expiresAt };
  return { statement, created: { ...present({ ...stored, last_used_at: null, revoked_at: null }), key } };
}

export async function createKey(
  database: D1Database,
  account: string,
  id: string,
  settings: KeySettings,
  now: number,
): Promise<CreatedApiKey> {
  const count = `SELECT COUNT(*) AS n FROM api_keys WHERE account_id = ?1 AND ${live}`;
  const { n } = (await database.prepare(count).bind(account, now).first<{ n: number }>()) ?? { n: 0 };
  if (n >= mostKeys) throw new Problem("limit_reached", `An account has at most ${mostKeys} keys that are valid.`);
  const { statement, created } = await keyCreation(database, account, id, settings, now);
  await statement.run();
  return created;
}

/** A new key `id` with the name and the scopes of `old`, which goes on working for `overlap` milliseconds. */
export async function rollKey(
  database: D1Database,
  account: string,
  old: string,
  id: string,
  overlap: number,
  now: number,
): Promise<CreatedApiKey> {
  const { name, scopes: granted, expires_at, revoked_at } = await readKey(database, account, old);
  if (revoked_at !== null || (expires_at !== null && Date.parse(expires_at) <= now)) {
    throw new Problem("gone", `The key ${old} was revoked or has expired; create a new one.`);
  }
  const { statement, created } = await keyCreation(
    database,
    account,
    id,
    { name, scopes: granted, expiresAt: null },
    now,
  );
  const expire = database
    .prepare("UPDATE api_keys SET expires_at = MIN(?1, COALESCE(expires_at, ?1)) WHERE id = ?2 AND account_id = ?3")
    .bind(now + overlap, old, account);
  await database.batch([statement, expire]);
  return created;
}

/** Revokes the key for good; one that is revoked already stays as it is. Never the account's last admin key. */
export async function revokeKey(database: D1Database, account: string, id: string, now: number): Promise<ApiKey> {
  const admin = "(' ' || scopes || ' ') LIKE '% admin %'";
  const update = `UPDATE api_keys SET revoked_at = ?2 WHERE account_id = ?1 AND id = ?3 AND revoked_at IS NULL
    AND (NOT ${admin} OR EXISTS (SELECT 1 FROM api_keys WHERE account_id = ?1 AND id <> ?3 AND ${live} AND ${admin}))`;
  await database.prepare(update).bind(account, now, id).run();
  const key = await readKey(database, account, id);
  if (key.revoked_at === null) {
    const detail = `${id} is the last key of this account with the scope admin; create another one first.`;
    throw new Problem("last_admin_key", detail);
  }
  return key;
}
