/** What routes share: queries, JSON in and out, pages. */
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import type { App } from "../middleware/app-types.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { sha256Hex } from "../storage/digest.ts";

/** Of routes that take no parameters in the query: unknown ones are refused, not ignored. */
export const noQuery = z.strictObject({});

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

/** The header that names the page after this one, at the same address with another cursor; none on the last page. */
export function nextLink(address: string, cursor: string | null): Record<string, string> {
  if (cursor === null) return {};
  const next = new URL(address);
  next.searchParams.set("cursor", cursor);
  return { link: `<${next.pathname}${next.search}>; rel="next"` };
}
