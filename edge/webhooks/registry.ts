/** The D1 table `webhook_endpoints`: which endpoints an account has. Everything else about one is in its object. */
import { idSchema } from "@omni-iml/shared/ids";
import { z } from "zod";

/**
 * The endpoint by which webhooks that requests name themselves are signed and logged. Every account has one, under an
 * id that follows from the account's, so that it needs no row.
 */
export function perRequestEndpoint(account: string): string {
  return idSchema("webhookEndpoint").parse(account.replace(/^ac_/, "wh_"));
}

const rows = z.array(z.object({ id: z.string() }));

/** The ids of the endpoints that an account has registered, oldest first. */
export async function registeredEndpoints(database: D1Database, account: string): Promise<string[]> {
  const query = "SELECT id FROM webhook_endpoints WHERE account_id = ? ORDER BY id";
  const { results } = await database.prepare(query).bind(account).all();
  return rows.parse(results).map(({ id }) => id);
}

/** Adds an endpoint unless the account has `most` already, in which case it answers `false`. */
export async function register(database: D1Database, account: string, id: string, most: number): Promise<boolean> {
  const insert = `INSERT INTO webhook_endpoints (id, account_id, created_at)
    SELECT ?1, ?2, ?3 WHERE (SELECT COUNT(*) FROM webhook_endpoints WHERE account_id = ?2) < ?4`;
  const { meta } = await database.prepare(insert).bind(id, account, Date.now(), most).run();
  return meta.changes > 0;
}

/** Whether there was such an endpoint. */
export async function unregister(database: D1Database, account: string, id: string): Promise<boolean> {
  const remove = "DELETE FROM webhook_endpoints WHERE id = ? AND account_id = ?";
  const { meta } = await database.prepare(remove).bind(id, account).run();
  return meta.changes > 0;
}
