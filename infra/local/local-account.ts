/** The one account of a local stack, and its API key. */
import { newId } from "@omni-iml/shared/ids";
import { hashSecret, newApiKey, parseApiKey } from "../../edge/accounts/api-key.ts";
import { StartupError } from "./startup-error.ts";

export interface LocalAccount {
  account_id: string;
  api_key_id: string;
  /** In the clear, so that a restart can print it: it opens nothing but this machine's own account. */
  api_key: string;
}

export async function newLocalAccount(): Promise<LocalAccount> {
  const { key } = await newApiKey();
  return { account_id: newId("account"), api_key_id: newId("apiKey"), api_key: key };
}

/**
 * SQL that stores the account, as one of those that run the deployment, and of its key the hash; storing them again
 * changes nothing.
 */
export async function seedStatement({ account_id, api_key_id, api_key }: LocalAccount, name: string): Promise<string> {
  const parts = parseApiKey(api_key);
  if (!parts) throw new StartupError("the kept API key is not of this version; remove the state folder for a new one");
  const now = Date.now();
  const account = [account_id, name, now];
  const key = [
    api_key_id,
    account_id,
    parts.lookup,
    await hashSecret(parts.secret),
    "first key",
    "read write admin",
    now,
  ];
  return [
    `INSERT OR IGNORE INTO accounts (id, name, created_at) VALUES (${account.map(literal).join(", ")});`,
    `INSERT OR IGNORE INTO api_keys (id, account_id, lookup, secret_sha256, name, scopes, created_at) VALUES (${key.map(literal).join(", ")});`,
    // Apart from the insertion, for accounts that an earlier version made.
    `UPDATE accounts SET operator = 1 WHERE id = ${literal(account_id)};`,
  ].join("\n");
}

function literal(value: string | number): string {
  return typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
}
