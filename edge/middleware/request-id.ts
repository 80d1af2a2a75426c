/**
 * Names every request, in the answer's `omni-request-id` and in problems as `instance`; when its answer has been sent,
 * logs one line about it and counts it.
 */
import { newId } from "@omni-iml/shared/ids";
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { matchedRoutes } from "hono/route";
import { log, loggedPath } from "../log.ts";
import { count, handOnSoon, observe } from "../telemetry/metrics.ts";
import { childSpan, traceId } from "../trace.ts";
import type { App } from "./app-types.ts";

export const requestId = createMiddleware<App>(async (context, next) => {
  const id = newId("request");
  context.set("requestId", id);
  context.set("trace", childSpan(context.req.header("traceparent")));
  const started = Date.now();
  await next();
  context.header("omni-request-id", id);
  const { body, headers } = context.res;
  if (body !== null && headers.get("content-type")?.startsWith("text/event-stream")) {
    const counted = countBytes(body, (bytes) => report(context, started, bytes));
    context.res = new Response(counted, context.res);
    return;
  }
  // Everything else is short and in memory anyway; so it keeps its length.
  const bytes = body === null ? null : await context.res.arrayBuffer();
  if (bytes !== null) context.res = new Response(bytes, context.res);
  report(context, started, bytes?.byteLength ?? 0);
});

/** Bytes of the body as it was declared; 0 where there is none or it came in chunks. */
function bytesIn(request: Request): number {
  const declared = request.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(declared) ? Number(declared) : 0;
}

function report(context: Context<App>, started: number, bytes: number): void {
  const { req, res, env, executionCtx } = context;
  const milliseconds = Date.now() - started;
  // Where only middleware has matched, the address is none.
  const route = matchedRoutes(context).findLast(({ path }) => !path.endsWith("*"))?.path ?? "none";
  const caller = context.get("caller");
  const code = context.get("code") ?? null;
  const received = bytesIn(req.raw);
  log("info", "request", {
    request: context.get("requestId"),
    trace: traceId(context.get("trace")),
    account: caller?.account ?? null,
    key: caller?.key ?? null,
    method: req.method,
    path: loggedPath(req.path),
    route,
    status: res.status,
    code,
    milliseconds,
    bytes_in: received,
    bytes_out: bytes,
  });
  count("omni_edge_requests_total", { route, method: req.method, status: res.status, outcome: code ?? "ok" });
  observe("omni_edge_request_duration_seconds", { route }, milliseconds / 1000);
  count("omni_edge_request_bytes_total", { route, direction: "in" }, received);
  count("omni_edge_request_bytes_total", { route, direction: "out" }, bytes);
  handOnSoon(env, (work) => executionCtx.waitUntil(work));
}

/** Passes the stream on, and says how long it was once it has ended or nobody reads on. */
function countBytes(body: ReadableStream<Uint8Array>, over: (bytes: number) => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          over(bytes);
          controller.close();
          return;
        }
        bytes += value.length;
        controller.enqueue(value);
      } catch (error) {
        over(bytes);
        controller.error(error);
      }
    },
    async cancel(reason) {
      over(bytes);
      await reader.cancel(reason);
    },
  });
}
