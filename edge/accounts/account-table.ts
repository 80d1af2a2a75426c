/** The D1 table `accounts`. */
import type { Account } from "@omni-iml/shared/accounts";
import { Problem } from "@omni-iml/shared/problems";
import { z } from "zod";

const row = z.object({
  id: z.string(),
  name: z.string(),
  created_at: z.number(),
  disabled_at: z.number().nullable(),
  requests_per_minute: z.number(),
  in_flight_limit: z.number(),
  monthly_quota: z.number(),
  retention_s: z.number().nullable(),
});

const columns = "id, name, created_at, disabled_at, requests_per_minute, in_flight_limit, monthly_quota, retention_s";
/** What can be chosen; each is a column. */
const settable = ["name", "requests_per_minute", "in_flight_limit", "monthly_quota", "retention_s"] as const;
export type AccountSettings = { [Name in (typeof settable)[number]]?: z.infer<typeof row>[Name] | undefined };

function present({ created_at, disabled_at, ...account }: z.infer<typeof row>): Account {
  return {
    ...account,
    object: "account",
    created_at: new Date(created_at).toISOString(),
    disabled_at: disabled_at === null ? null : new Date(disabled_at).toISOString(),
  };
}

/** The statement that stores a new account; without a limit it gets the table's default. */
export function accountCreation(
  database: D1Database,
  id: string,
  settings: AccountSettings & { name: string },
  now: number,
): D1PreparedStatement {
  const given = settable.filter((name) => settings[name] !== undefined);
  const names = ["id", "created_at", ...given];
  return database
    .prepare(`INSERT OR IGNORE INTO accounts (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
    .bind(id, now, ...given.map((name) => settings[name]));
}

/** The account, or `not_found`. */
export async function readAccount(database: D1Database, id: string): Promise<Account> {
  const found = await database.prepare(`SELECT ${columns} FROM accounts WHERE id = ?`).bind(id).first();
  if (found === null) throw new Problem("not_found", `There is no account ${id}.`);
  return present(row.parse(found));
}

/** A page, oldest first; the playground's are not among them. */
export async function listAccounts(
  database: D1Database,
  { cursor = "", limit }: { cursor?: string | undefined; limit: number },
): Promise<{ object: "list"; data: Account[]; next_cursor: string | null }> {
  const query = `SELECT ${columns} FROM accounts WHERE id > ? AND playground = 0 ORDER BY id LIMIT ?`;
  // One more than asked for tells whether there is a next page.
  const { results } = await database
    .prepare(query)
    .bind(cursor, limit + 1)
    .all();
  const rows = z.array(row).parse(results);
  const data = rows.slice(0, limit).map(present);
  return { object: "list", data, next_cursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
}

export async function changeAccount(
  database: D1Database,
  id: string,
  { disabled, ...settings }: AccountSettings & { disabled?: boolean | undefined },
  now: number,
): Promise<Account> {
  const given = settable.filter((name) => settings[name] !== undefined);
  const changes = given.map((name) => `${name} = ?`);
  const bindings: (string | number | null | undefined)[] = given.map((name) => settings[name]);
  if (disabled !== undefined) {
    changes.push(disabled ? "disabled_at = COALESCE(disabled_at, ?)" : "disabled_at = ?");
    bindings.push(disabled ? now : null);
  }
  const update = `UPDATE accounts SET ${changes.join(", ")} WHERE id = ?`;
  await database
    .prepare(update)
    .bind(...bindings, id)
    .run();
  return readAccount(database, id);
}
