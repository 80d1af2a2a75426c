/** `GET /v1/models`: the card of what is served. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { modelCard } from "@omni-iml/shared/models";
import { z } from "zod";
import { release } from "../analysis/release.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { problems, security } from "./documentation.ts";

const models = createRoute({
  method: "get",
  path: "/v1/models",
  operationId: "listModels",
  summary: "What is served",
  security,
  request: { query: z.strictObject({}) },
  middleware: requireScope("read"),
  responses: {
    200: {
      description: "The model card of each release that is served.",
      content: { "application/json": { schema: z.object({ object: z.literal("list"), data: z.array(modelCard) }) } },
    },
    ...problems("invalid_request"),
  },
});

export function registerModels(app: OpenAPIHono<App>): void {
  app.openapi(models, (context) => {
    const { name, version, precision, licence, thresholds, training, figures } = release;
    const card = { name, version, release: release.release, precision, licence, thresholds, training, figures };
    return context.json({ object: "list" as const, data: [{ object: "model" as const, ...card }] }, 200);
  });
}
