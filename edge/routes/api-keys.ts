/** `/v1/api-keys`: the keys of the caller's own account. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { apiKey, apiKeyList, createdApiKey, newApiKey, rollApiKey } from "@omni-iml/shared/accounts";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { z } from "zod";
import { createKey, listKeys, readKey, revokeKey, rollKey } from "../accounts/key-table.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, noQuery, optionalBody, smallBody } from "./json.ts";

const keyPath = z.strictObject({ id: idSchema("apiKey") });
const admin = requireScope("admin");

const create = createRoute({
  method: "post",
  path: "/v1/api-keys",
  operationId: "createApiKey",
  summary: "Create an API key",
  description:
    "The answer is the only one that ever shows the key. Needs a key with the scope `admin`, as all of these.",
  security,
  request: { query: noQuery, headers: idempotencyHeader, body: { required: true, content: json(newApiKey) } },
  middleware: [admin, smallBody] as const,
  responses: {
    201: { description: "The key.", content: json(createdApiKey) },
    ...problems("invalid_request", "limit_reached", "idempotency_key_reused"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/api-keys",
  operationId: "listApiKeys",
  summary: "List API keys",
  description: "All keys of the account, newest first; those that were revoked, too.",
  security,
  request: { query: noQuery },
  middleware: admin,
  responses: { 200: { description: "The keys.", content: json(apiKeyList) }, ...problems("invalid_request") },
});

const read = createRoute({
  method: "get",
  path: "/v1/api-keys/{id}",
  operationId: "getApiKey",
  summary: "Read an API key",
  security,
  request: { params: keyPath, query: noQuery },
  middleware: admin,
  responses: { 200: { description: "The key.", content: json(apiKey) }, ...problems("invalid_request", "not_found") },
});

const roll = createRoute({
  method: "post",
  path: "/v1/api-keys/{id}/roll",
  operationId: "rollApiKey",
  summary: "Roll an API key",
  description:
    "Creates a key with the same name and scopes; the old one expires, at once or after the time you ask for.",
  security,
  request: {
    params: keyPath,
    query: noQuery,
    headers: idempotencyHeader,
    body: { required: false, content: json(rollApiKey) },
  },
  middleware: [admin, optionalBody] as const,
  responses: {
    201: { description: "The new key.", content: json(createdApiKey) },
    ...problems("invalid_request", "not_found", "gone", "idempotency_key_reused"),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/api-keys/{id}",
  operationId: "revokeApiKey",
  summary: "Revoke an API key",
  description: "From the next request on it is refused. The account's last key with the scope `admin` stays.",
  security,
  request: { params: keyPath, query: noQuery },
  middleware: admin,
  responses: {
    200: { description: "The key, revoked.", content: json(apiKey) },
    ...problems("invalid_request", "not_found", "last_admin_key"),
  },
});

export function registerApiKeys(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { account } = context.get("caller");
    const sent = context.req.valid("json");
    const { id, created } = await once(
      context,
      await hashOf(sent),
      () => newId("apiKey"),
      (key) => {
        const now = Date.now();
        const expiresAt = sent.expires_in_s === undefined ? null : now + sent.expires_in_s * 1000;
        return createKey(context.env.DATABASE, account, key, { name: sent.name, scopes: sent.scopes, expiresAt }, now);
      },
    );
    return context.json(created ?? { ...(await readKey(context.env.DATABASE, account, id)), key: null }, 201);
  });

  app.openapi(list, async (context) => {
    const data = await listKeys(context.env.DATABASE, context.get("caller").account);
    return context.json({ object: "list" as const, data }, 200);
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    return context.json(await readKey(context.env.DATABASE, context.get("caller").account, id), 200);
  });

  app.openapi(roll, async (context) => {
    const { account } = context.get("caller");
    const { id: old } = context.req.valid("param");
    const sent = rollApiKey.parse(context.req.valid("json") ?? {});
    const { id, created } = await once(
      context,
      await hashOf(sent),
      () => newId("apiKey"),
      (key) => rollKey(context.env.DATABASE, account, old, key, sent.expire_old_in_s * 1000, Date.now()),
    );
    return context.json(created ?? { ...(await readKey(context.env.DATABASE, account, id)), key: null }, 201);
  });

  app.openapi(revoke, async (context) => {
    const { id } = context.req.valid("param");
    return context.json(await revokeKey(context.env.DATABASE, context.get("caller").account, id, Date.now()), 200);
  });
}
