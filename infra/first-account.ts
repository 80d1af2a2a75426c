/**
 * The first operator of a deployment, whose key makes all others (`omni-iml admin`): prints SQL for its database, and
 * the key to standard error, this once.
 *
 *   npx wrangler d1 execute omni-iml --remote --command "$(npx node infra/first-account.ts)"
 */
import { newLocalAccount, seedStatement } from "./local/local-account.ts";

const account = await newLocalAccount();
console.error(`key: ${account.api_key}`);
console.log(await seedStatement(account, "operator"));
