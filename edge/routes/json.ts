/** What routes share that take JSON and give JSON. */
import { createMiddleware } from "hono/factory";
import type { z } from "zod";
import type { App } from "../middleware/app-types.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { sha256Hex } from "../storage/digest.ts";

/** Far longer than any of the settings that are sent to these routes. */
export const smallBody = jsonBody(64 * 1024);

/** As `smallBody`, where sending nothing means the defaults. */
export const optionalBody = createMiddleware<App>(async (context, next) => {
  const { req } = context;
  return req.raw.body === null || req.header("content-length") === "0" ? next() : smallBody(context, next);
});

export const json = <Schema extends z.ZodType>(schema: Schema) => ({ "application/json": { schema } });

/** By this a repeated request under one Idempotency-Key is recognised. */
export const hashOf = (sent: unknown): Promise<string> => sha256Hex(JSON.stringify(sent));
