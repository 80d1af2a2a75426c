/** `/v1/accounts`, for those who run this deployment: accounts, their limits, their first keys. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import {
  accountChange,
  accountPage,
  account as accountSchema,
  createdAccount,
  newAccount,
  scopes,
} from "@omni-iml/shared/accounts";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { z } from "zod";
import { accountCreation, changeAccount, listAccounts, readAccount } from "../accounts/account-table.ts";
import { keyCreation, listKeys } from "../accounts/key-table.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireOperator, requireScope } from "../middleware/authentication.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, noQuery, smallBody } from "./json.ts";

const accountPath = z.strictObject({ id: idSchema("account") });
const admin = requireScope("admin");

const create = createRoute({
  method: "post",
  path: "/v1/accounts",
  operationId: "createAccount",
  summary: "Create an account",
  description:
    "With a first key that has every scope. Only for admin keys of the accounts that run this deployment, as all of these.",
  security,
  request: { query: noQuery, headers: idempotencyHeader, body: { required: true, content: json(newAccount) } },
  middleware: [admin, requireOperator, smallBody] as const,
  responses: {
    201: { description: "The account and its first key.", content: json(createdAccount) },
    ...problems("invalid_request", "idempotency_key_reused"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/accounts",
  operationId: "listAccounts",
  summary: "List accounts, oldest first",
  security,
  request: {
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(100).default(20),
      cursor: idSchema("account").optional(),
    }),
  },
  middleware: [admin, requireOperator] as const,
  responses: { 200: { description: "A page.", content: json(accountPage) }, ...problems("invalid_request") },
});

const read = createRoute({
  method: "get",
  path: "/v1/accounts/{id}",
  operationId: "getAccount",
  summary: "Read an account",
  security,
  request: { params: accountPath, query: noQuery },
  middleware: [admin, requireOperator] as const,
  responses: {
    200: { description: "The account.", content: json(accountSchema) },
    ...problems("invalid_request", "not_found"),
  },
});

const change = createRoute({
  method: "patch",
  path: "/v1/accounts/{id}",
  operationId: "updateAccount",
  summary: "Change an account",
  description: "Its name and limits. A disabled account's keys are refused; what it has under way goes on.",
  security,
  request: { params: accountPath, query: noQuery, body: { required: true, content: json(accountChange) } },
  middleware: [admin, requireOperator, smallBody] as const,
  responses: {
    200: { description: "The account.", content: json(accountSchema) },
    ...problems("invalid_request", "not_found"),
  },
});

export function registerAccounts(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { DATABASE } = context.env;
    const sent = context.req.valid("json");
    const { id, created } = await once(
      context,
      await hashOf(sent),
      () => newId("account"),
      async (account) => {
        const now = Date.now();
        const first = { name: "first key", scopes, expiresAt: null };
        // The key's id follows from the account's, so that a repeated creation replaces what nobody has seen.
        const key = await keyCreation(DATABASE, account, account.replace(/^ac_/, "ak_"), first, now);
        await DATABASE.batch([accountCreation(DATABASE, account, sent, now), key.statement]);
        return key.created;
      },
    );
    const [first] = created === null ? await listKeys(DATABASE, id) : [];
    const api_key = created ?? (first && { ...first, key: null });
    if (api_key === undefined) throw new Error(`the account ${id} has no key`);
    return context.json({ ...(await readAccount(DATABASE, id)), api_key }, 201);
  });

  app.openapi(list, async (context) => {
    const page = await listAccounts(context.env.DATABASE, context.req.valid("query"));
    return context.json(page, 200);
  });

  app.openapi(read, async (context) => {
    return context.json(await readAccount(context.env.DATABASE, context.req.valid("param").id), 200);
  });

  app.openapi(change, async (context) => {
    const { id } = context.req.valid("param");
    return context.json(await changeAccount(context.env.DATABASE, id, context.req.valid("json"), Date.now()), 200);
  });
}
