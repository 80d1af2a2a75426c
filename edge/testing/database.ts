/** Brings the test's D1 to the current schema. */
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";

await applyD1Migrations(env.DATABASE, env.MIGRATIONS);
