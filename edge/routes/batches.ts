/** `/v1/batches`: up to a thousand images in one request. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { batch, batchItemPage, newBatch } from "@omni-iml/shared/batches";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { z } from "zod";
import { type BatchSnapshot, describeBatch } from "../batches/snapshot.ts";
import { settings } from "../environment.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { checkWebhookAddress } from "../webhooks/address.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, nextLink, noQuery } from "./json.ts";
import { acceptedHeaders, pollingHeaders, sayWhenToAskAgain } from "./polling.ts";

const batchPath = z.strictObject({ id: idSchema("batch") });
const resource = json(batch);
/** A thousand items with addresses, options and a few labels each; the object takes them in one message. */
const longestBody = 4 * 1024 * 1024;

const create = createRoute({
  method: "post",
  path: "/v1/batches",
  operationId: "createBatch",
  summary: "Analyse many images",
  description:
    "Up to 1,000 items, each an `image_url` or an `upload_id`. Answers at once; the items become analyses bit by bit. " +
    "One that cannot become an analysis is `refused` with its reason, and the others go on.",
  security,
  request: {
    query: noQuery,
    headers: idempotencyHeader,
    body: { required: true, content: json(newBatch) },
  },
  middleware: [requireScope("write"), jsonBody(longestBody)] as const,
  responses: {
    202: { description: "Accepted; read it at `Location`.", headers: acceptedHeaders, content: resource },
    ...problems("invalid_request", "gone", "idempotency_key_reused"),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/batches/{id}",
  operationId: "getBatch",
  summary: "Read a batch",
  security,
  request: { params: batchPath, query: noQuery },
  middleware: requireScope("read"),
  responses: {
    200: {
      description: "The batch, with how many items have come how far.",
      headers: pollingHeaders,
      content: resource,
    },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const items = createRoute({
  method: "get",
  path: "/v1/batches/{id}/items",
  operationId: "listBatchItems",
  summary: "List a batch's items, in order",
  security,
  request: {
    params: batchPath,
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(1_000).default(100),
      cursor: z.coerce.number().int().min(0).max(999).optional().meta({ description: "The `next_cursor` of a page." }),
    }),
  },
  middleware: requireScope("read"),
  responses: {
    200: {
      description: "A page; the Link header has the address of the next one.",
      content: json(batchItemPage),
    },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const cancel = createRoute({
  method: "post",
  path: "/v1/batches/{id}/cancel",
  operationId: "cancelBatch",
  summary: "Cancel a batch",
  description: "Begins no further item and cancels those under way. What has ended stays.",
  security,
  request: { params: batchPath, query: noQuery, headers: idempotencyHeader },
  middleware: requireScope("write"),
  responses: {
    200: { description: "The batch.", content: resource },
    ...problems("invalid_request", "not_found", "gone", "idempotency_key_reused"),
  },
});

const erase = createRoute({
  method: "delete",
  path: "/v1/batches/{id}",
  operationId: "deleteBatch",
  summary: "Erase a batch",
  description: "Erases the batch and every analysis that it became. From then on all their ids answer 410.",
  security,
  request: { params: batchPath, query: noQuery },
  middleware: requireScope("write"),
  responses: { 204: { description: "Erased." }, ...problems("invalid_request", "not_found") },
});

/** The caller's batch, or the problem to answer with. */
function found(id: string, snapshot: BatchSnapshot | null): BatchSnapshot {
  if (snapshot === null) throw new Problem("not_found", `There is no batch ${id}.`);
  if (snapshot.erased === "expired") throw new Problem("gone", `The batch ${id} has expired.`);
  if (snapshot.erased === "deleted") throw new Problem("gone", `The batch ${id} was deleted.`);
  return snapshot;
}

export function registerBatches(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { env } = context;
    const { account, limits, retention } = context.get("caller");
    const sent = context.req.valid("json");
    if (sent.webhook !== undefined) checkWebhookAddress(settings(env), sent.webhook.url, "json.webhook.url");
    const defaults = sent.options ?? { ...analysisOptions.parse({}), priority: "batch" as const };
    const record = {
      account,
      limits,
      retention,
      metadata: sent.metadata,
      webhook: sent.webhook ?? null,
      trace: context.get("trace"),
      items: sent.items.map((item) => ({
        source:
          "image_url" in item
            ? { kind: "address" as const, url: item.image_url }
            : { kind: "upload" as const, id: item.upload_id },
        options: item.options ?? defaults,
        metadata: item.metadata ?? {},
      })),
    };
    const payload = await hashOf(sent);
    const { id, created } = await once(
      context,
      payload,
      () => newId("batch"),
      (given, { key }) => env.BATCHES.getByName(given).create({ ...record, id: given, idempotencyKey: key }),
    );
    const snapshot = found(id, created ?? (await env.BATCHES.getByName(id).read(account)));
    context.header("location", `/v1/batches/${id}`);
    sayWhenToAskAgain(context, snapshot.endedAt !== null, "batch");
    return context.json(describeBatch(snapshot), 202);
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    const snapshot = found(id, await context.env.BATCHES.getByName(id).read(context.get("caller").account));
    sayWhenToAskAgain(context, snapshot.endedAt !== null, "batch");
    return context.json(describeBatch(snapshot), 200);
  });

  app.openapi(items, async (context) => {
    const { id } = context.req.valid("param");
    const { limit, cursor } = context.req.valid("query");
    const { account } = context.get("caller");
    const object = context.env.BATCHES.getByName(id);
    found(id, await object.read(account));
    // One more than asked for tells whether there is a next page.
    const rows = await object.items(account, cursor ?? -1, limit + 1);
    const data = rows.slice(0, limit).map((item) => ({ object: "batch_item" as const, ...item }));
    const last = data.at(-1);
    const next = rows.length > limit && last ? String(last.index) : null;
    return context.json({ object: "list" as const, data, next_cursor: next }, 200, nextLink(context.req.url, next));
  });

  app.openapi(cancel, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const object = context.env.BATCHES.getByName(id);
    const { created } = await once(
      context,
      "",
      () => id,
      async () => found(id, await object.cancel(account)),
    );
    return context.json(describeBatch(created ?? found(id, await object.read(account))), 200);
  });

  app.openapi(erase, async (context) => {
    const { id } = context.req.valid("param");
    const known = await context.env.BATCHES.getByName(id).erase(context.get("caller").account);
    if (!known) throw new Problem("not_found", `There is no batch ${id}.`);
    return context.body(null, 204);
  });
}
