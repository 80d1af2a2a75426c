/** What every route that takes JSON refuses before it reads: another type, no body, too long a one. */
import { Problem } from "@omni-iml/shared/problems";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import type { App } from "./app-types.ts";

/** At most `bytes` of JSON. */
export function jsonBody(bytes: number) {
  const refuse = (path: string, message: string) =>
    new Problem("invalid_request", `${path}: ${message}`, { errors: [{ path, message }] });
  const limit = bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw refuse("body", `is longer than ${bytes} bytes`);
    },
  });
  return createMiddleware<App>(async (context, next) => {
    const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (context.req.raw.body === null) throw refuse("body", "is missing");
    if (type !== "application/json") throw refuse("content-type", "is not application/json");
    return limit(context, next);
  });
}
