/** Names every request, in the answer's `omni-request-id` and in problems as `instance`, and logs how it went. */
import { newId } from "@omni-iml/shared/ids";
import { createMiddleware } from "hono/factory";
import { log } from "../log.ts";
import { childSpan } from "../trace.ts";
import type { App } from "./app-types.ts";

export const requestId = createMiddleware<App>(async (context, next) => {
  const id = newId("request");
  context.set("requestId", id);
  context.set("trace", childSpan(context.req.header("traceparent")));
  const started = Date.now();
  await next();
  context.header("omni-request-id", id);
  log("info", "request", {
    request: id,
    method: context.req.method,
    path: context.req.path,
    status: context.res.status,
    milliseconds: Date.now() - started,
  });
});
