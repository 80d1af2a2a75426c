/** `/v1/webhook-endpoints`: where an account wants to be told what happens, and what came of telling. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import {
  createdWebhookEndpoint,
  deliveryStatuses,
  newWebhookEndpoint,
  rotateWebhookSecret,
  webhookDelivery,
  webhookDeliveryPage,
  webhookEndpoint,
  webhookEndpointChange,
  webhookEndpointList,
  webhookReplay,
  webhookSecret,
} from "@omni-iml/shared/webhooks";
import { z } from "zod";
import { type Environment, settings } from "../environment.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { checkWebhookAddress } from "../webhooks/address.ts";
import { perRequestEndpoint, register, registeredEndpoints, unregister } from "../webhooks/registry.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, nextLink, noQuery, optionalBody, smallBody } from "./json.ts";

/** Each event costs one call an endpoint. */
const mostEndpoints = 20;

const endpointPath = z.strictObject({ id: idSchema("webhookEndpoint") });
const deliveryPath = endpointPath.extend({ delivery: idSchema("event") });
const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: idSchema("event").optional(),
});
const reading = requireScope("read");
const writing = requireScope("write");

const create = createRoute({
  method: "post",
  path: "/v1/webhook-endpoints",
  operationId: "createWebhookEndpoint",
  summary: "Register a webhook endpoint",
  description: "From now on it is told what happens in this account. Messages follow Standard Webhooks.",
  security,
  request: { query: noQuery, headers: idempotencyHeader, body: { required: true, content: json(newWebhookEndpoint) } },
  middleware: [writing, smallBody] as const,
  responses: {
    201: { description: "The endpoint and the secret that signs its messages.", content: json(createdWebhookEndpoint) },
    ...problems("invalid_request", "limit_reached", "idempotency_key_reused"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints",
  operationId: "listWebhookEndpoints",
  summary: "List webhook endpoints",
  description: "Oldest first; the last one stands for webhooks that requests name themselves.",
  security,
  request: { query: noQuery },
  middleware: reading,
  responses: {
    200: { description: "The endpoints.", content: json(webhookEndpointList) },
    ...problems("invalid_request"),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints/{id}",
  operationId: "getWebhookEndpoint",
  summary: "Read a webhook endpoint",
  description: "Also tells whether it is disabled, why, and since when it has been failing.",
  security,
  request: { params: endpointPath, query: noQuery },
  middleware: reading,
  responses: {
    200: { description: "The endpoint.", content: json(webhookEndpoint) },
    ...problems("invalid_request", "not_found"),
  },
});

const change = createRoute({
  method: "patch",
  path: "/v1/webhook-endpoints/{id}",
  operationId: "updateWebhookEndpoint",
  summary: "Change a webhook endpoint",
  description: "Of the endpoint for webhooks that requests name, only `enabled` can be changed.",
  security,
  request: { params: endpointPath, query: noQuery, body: { required: true, content: json(webhookEndpointChange) } },
  middleware: [writing, smallBody] as const,
  responses: {
    200: { description: "The endpoint.", content: json(webhookEndpoint) },
    ...problems("invalid_request", "not_found"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/webhook-endpoints/{id}",
  operationId: "deleteWebhookEndpoint",
  summary: "Delete a webhook endpoint",
  description:
    "With its log, its secrets and what was not delivered yet. The one for webhooks that requests name is emptied.",
  security,
  request: { params: endpointPath, query: noQuery },
  middleware: writing,
  responses: { 204: { description: "Deleted." }, ...problems("invalid_request", "not_found") },
});

const secret = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints/{id}/secret",
  operationId: "getWebhookSecret",
  summary: "Read a webhook endpoint's secret",
  security,
  request: { params: endpointPath, query: noQuery },
  middleware: writing,
  responses: {
    200: { description: "The secret.", content: json(webhookSecret) },
    ...problems("invalid_request", "not_found"),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/webhook-endpoints/{id}/rotate-secret",
  operationId: "rotateWebhookSecret",
  summary: "Rotate a webhook endpoint's secret",
  description: "Messages carry the signatures of both until the old secret expires.",
  security,
  request: {
    params: endpointPath,
    query: noQuery,
    headers: idempotencyHeader,
    body: { required: false, content: json(rotateWebhookSecret) },
  },
  middleware: [writing, optionalBody] as const,
  responses: {
    200: { description: "The new secret.", content: json(webhookSecret) },
    ...problems("invalid_request", "not_found", "idempotency_key_reused"),
  },
});

const test = createRoute({
  method: "post",
  path: "/v1/webhook-endpoints/{id}/test",
  operationId: "testWebhookEndpoint",
  summary: "Send a test event",
  description: "Sends `webhook.test` and answers after the first attempt with how it went.",
  security,
  request: { params: endpointPath, query: noQuery, headers: idempotencyHeader },
  middleware: writing,
  responses: {
    200: { description: "The delivery.", content: json(webhookDelivery) },
    ...problems("invalid_request", "not_found", "endpoint_disabled", "idempotency_key_reused"),
  },
});

const deliveries = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints/{id}/deliveries",
  operationId: "listWebhookDeliveries",
  summary: "List deliveries, newest first",
  description: "Every message of the last 30 days with every attempt.",
  security,
  request: { params: endpointPath, query: pageQuery.extend({ status: z.enum(deliveryStatuses).optional() }) },
  middleware: reading,
  responses: {
    200: { description: "A page; the Link header has the next one's address.", content: json(webhookDeliveryPage) },
    ...problems("invalid_request", "not_found"),
  },
});

const deadLetters = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints/{id}/dead-letters",
  operationId: "listDeadLetters",
  summary: "List dead letters, newest first",
  description: "Messages that were given up: after the last attempt, after a 410, or while the endpoint was disabled.",
  security,
  request: { params: endpointPath, query: pageQuery },
  middleware: reading,
  responses: {
    200: { description: "A page; the Link header has the next one's address.", content: json(webhookDeliveryPage) },
    ...problems("invalid_request", "not_found"),
  },
});

const replay = createRoute({
  method: "post",
  path: "/v1/webhook-endpoints/{id}/dead-letters/replay",
  operationId: "replayDeadLetters",
  summary: "Replay all dead letters",
  security,
  request: { params: endpointPath, query: noQuery, headers: idempotencyHeader },
  middleware: writing,
  responses: {
    202: {
      description: "They are on their way again; none are in the answer to a request that only repeats another.",
      content: json(webhookReplay),
    },
    ...problems("invalid_request", "not_found", "endpoint_disabled", "idempotency_key_reused"),
  },
});

const delivery = createRoute({
  method: "get",
  path: "/v1/webhook-endpoints/{id}/deliveries/{delivery}",
  operationId: "getWebhookDelivery",
  summary: "Read a delivery",
  security,
  request: { params: deliveryPath, query: noQuery },
  middleware: reading,
  responses: {
    200: { description: "The delivery.", content: json(webhookDelivery) },
    ...problems("invalid_request", "not_found"),
  },
});

const redeliver = createRoute({
  method: "post",
  path: "/v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver",
  operationId: "redeliverWebhook",
  summary: "Deliver a message again",
  description: "Under the same `webhook-id`, whatever became of it before.",
  security,
  request: { params: deliveryPath, query: noQuery, headers: idempotencyHeader },
  middleware: writing,
  responses: {
    202: { description: "The delivery, on its way again.", content: json(webhookDelivery) },
    ...problems("invalid_request", "not_found", "endpoint_disabled", "idempotency_key_reused"),
  },
});

/** The endpoint's object. Every account's endpoint for requests exists as soon as somebody asks for it. */
async function object(env: Environment, account: string, id: string) {
  const endpoint = env.ENDPOINTS.getByName(id);
  if (id === perRequestEndpoint(account)) {
    await endpoint.create({ id, account, kind: "per_request", url: null, events: null, description: "" });
  }
  return endpoint;
}

/** What the object answered; others' ids are answered as ids that do not exist. */
function found<Value>(id: string, value: Value | null): Value {
  if (value === null) throw new Problem("not_found", `There is no webhook endpoint ${id}.`);
  return value;
}

function enabled<Value>(id: string, value: Value | "disabled"): Value {
  if (value === "disabled") throw new Problem("endpoint_disabled", `The endpoint ${id} is disabled.`);
  return value;
}

export function registerWebhookEndpoints(app: OpenAPIHono<App>): void {
  app.openapi(create, async (context) => {
    const { env } = context;
    const { account } = context.get("caller");
    const { url, events = null, description } = context.req.valid("json");
    checkWebhookAddress(settings(env), url, "json.url");
    const payload = await hashOf([url, events, description]);
    const { id } = await once(
      context,
      payload,
      () => newId("webhookEndpoint"),
      async (endpoint) => {
        // The object first: one without a row is told nothing, a row without an object would be an endpoint that is none.
        const made = { id: endpoint, account, kind: "registered", url, events, description } as const;
        await env.ENDPOINTS.getByName(endpoint).create(made);
        if (await register(env.DATABASE, account, endpoint, mostEndpoints)) return;
        await env.ENDPOINTS.getByName(endpoint).erase(account);
        throw new Problem("limit_reached", `An account has at most ${mostEndpoints} webhook endpoints.`);
      },
      async (endpoint) => (await env.ENDPOINTS.getByName(endpoint).read(account)) !== null,
    );
    const endpoint = env.ENDPOINTS.getByName(id);
    const [resource, current] = await Promise.all([endpoint.read(account), endpoint.secret(account)]);
    context.header("location", `/v1/webhook-endpoints/${id}`);
    return context.json({ ...found(id, resource), secret: found(id, current).secret }, 201);
  });

  app.openapi(list, async (context) => {
    const { account } = context.get("caller");
    const ids = [...(await registeredEndpoints(context.env.DATABASE, account)), perRequestEndpoint(account)];
    const endpoints = await Promise.all(ids.map(async (id) => (await object(context.env, account, id)).read(account)));
    return context.json({ object: "list" as const, data: endpoints.filter((endpoint) => endpoint !== null) }, 200);
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    return context.json(found(id, await (await object(context.env, account, id)).read(account)), 200);
  });

  app.openapi(change, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const sent = context.req.valid("json");
    if (sent.url !== undefined) checkWebhookAddress(settings(context.env), sent.url, "json.url");
    const fixed = (["url", "events", "description"] as const).filter((name) => sent[name] !== undefined);
    if (id === perRequestEndpoint(account) && fixed.length > 0) {
      const errors = fixed.map((name) => ({ path: `json.${name}`, message: "is named by each request here" }));
      throw new Problem("invalid_request", `${fixed.join(", ")}: each request names its own here`, { errors });
    }
    return context.json(found(id, await (await object(context.env, account, id)).change(account, sent)), 200);
  });

  app.openapi(remove, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const own = id === perRequestEndpoint(account);
    if (!own && !(await registeredEndpoints(context.env.DATABASE, account)).includes(id)) found(id, null);
    // The row last: should this break off, the deletion can be repeated.
    await context.env.ENDPOINTS.getByName(id).erase(account);
    if (!own) await unregister(context.env.DATABASE, account, id);
    return context.body(null, 204);
  });

  app.openapi(secret, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    return context.json(found(id, await (await object(context.env, account, id)).secret(account)), 200);
  });

  app.openapi(rotate, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const sent = rotateWebhookSecret.parse(context.req.valid("json") ?? {});
    const endpoint = await object(context.env, account, id);
    const { created } = await once(
      context,
      await hashOf(sent),
      () => newId("event"),
      async () => found(id, await endpoint.rotateSecret(account, sent.expire_old_in_s * 1000)),
    );
    return context.json(created ?? found(id, await endpoint.secret(account)), 200);
  });

  app.openapi(test, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const endpoint = await object(context.env, account, id);
    if (id === perRequestEndpoint(account)) {
      throw new Problem("invalid_request", "A test goes to an address, and this endpoint has none of its own.");
    }
    const { id: event } = await once(
      context,
      "",
      () => newId("event"),
      async (name) => {
        enabled(id, found(id, await endpoint.sendTest(account, name)));
      },
    );
    return context.json(found(id, await endpoint.delivery(account, event)), 200);
  });

  app.openapi(deliveries, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const query = context.req.valid("query");
    const page = found(id, await (await object(context.env, account, id)).deliveries(account, query));
    return context.json(page, 200, nextLink(context.req.url, page.next_cursor));
  });

  app.openapi(deadLetters, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const query = { ...context.req.valid("query"), status: "dead" } as const;
    const page = found(id, await (await object(context.env, account, id)).deliveries(account, query));
    return context.json(page, 200, nextLink(context.req.url, page.next_cursor));
  });

  app.openapi(replay, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const endpoint = await object(context.env, account, id);
    const { created } = await once(
      context,
      "",
      () => id,
      async () => enabled(id, found(id, await endpoint.replayDeadLetters(account))),
    );
    return context.json({ object: "webhook_replay" as const, replayed: created ?? 0 }, 202);
  });

  app.openapi(delivery, async (context) => {
    const { id, delivery: event } = context.req.valid("param");
    const { account } = context.get("caller");
    const endpoint = await object(context.env, account, id);
    found(id, await endpoint.read(account));
    return context.json(foundDelivery(event, await endpoint.delivery(account, event)), 200);
  });

  app.openapi(redeliver, async (context) => {
    const { id, delivery: event } = context.req.valid("param");
    const { account } = context.get("caller");
    const endpoint = await object(context.env, account, id);
    found(id, await endpoint.read(account));
    const { created } = await once(
      context,
      "",
      () => event,
      async () => enabled(id, foundDelivery(event, await endpoint.redeliver(account, event))),
    );
    return context.json(created ?? foundDelivery(event, await endpoint.delivery(account, event)), 202);
  });
}

function foundDelivery<Value>(id: string, value: Value | null): Value {
  if (value === null) throw new Problem("not_found", `There is no delivery ${id}.`);
  return value;
}
