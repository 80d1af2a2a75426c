/** What every route that takes JSON refuses before it reads: another type, no body, too long a one. */
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import type { App } from "./app-types.ts";
import { invalidField } from "./problem-response.ts";

/** At most `bytes` of JSON. */
export function jsonBody(bytes: number) {
  const limit = bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw invalidField("body", `is longer than ${bytes} bytes`);
    },
  });
  return createMiddleware<App>(async (context, next) => {
    const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (context.req.raw.body === null) throw invalidField("body", "is missing");
    if (type !== "application/json") throw invalidField("content-type", "is not application/json");
    return limit(context, next);
  });
}
