/** `POST /v1/index/rebuild`, for those who run this deployment: the list of analyses from the records in storage. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { newId } from "@omni-iml/shared/ids";
import { indexRebuild } from "@omni-iml/shared/index-rebuild";
import { z } from "zod";
import { rebuildIndex } from "../analysis/record-copy.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import type { App } from "../middleware/app-types.ts";
import { requireOperator, requireScope } from "../middleware/authentication.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json } from "./json.ts";

const rebuild = createRoute({
  method: "post",
  path: "/v1/index/rebuild",
  operationId: "rebuildIndex",
  summary: "Make the list of analyses anew, step by step",
  description:
    "Reads records from storage and brings what the list says of them up to date; `next_cursor` begins the next step. " +
    "For a database that was lost or set back. Harmless at any time: what the list knows better, it keeps. Only for " +
    "admin keys of the accounts that run this deployment.",
  security,
  request: {
    query: z.strictObject({
      cursor: z.string().min(1).max(2_000).optional(),
      limit: z.coerce.number().int().min(1).max(200).default(200),
    }),
    headers: idempotencyHeader,
  },
  middleware: [requireScope("admin"), requireOperator] as const,
  responses: {
    200: { description: "What this step has done.", content: json(indexRebuild) },
    ...problems("invalid_request", "idempotency_key_reused"),
  },
});

export function registerIndexRebuild(app: OpenAPIHono<App>): void {
  app.openapi(rebuild, async (context) => {
    const { cursor, limit } = context.req.valid("query");
    const step = () => rebuildIndex(context.env, cursor, limit);
    const { created } = await once(context, await hashOf([cursor, limit]), () => newId("request"), step);
    // Doing it again does no harm, and only so can a repeated request be told where the next step begins.
    return context.json(created ?? (await step()), 200);
  });
}
