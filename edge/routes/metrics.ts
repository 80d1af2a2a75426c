/** `GET /metrics`: what happens at the edge, for Prometheus, with an operator's key as its bearer token. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { App } from "../middleware/app-types.ts";
import { authentication, requireOperator, requireScope } from "../middleware/authentication.ts";
import { handOnMetrics } from "../telemetry/metrics.ts";

export function registerMetrics(app: OpenAPIHono<App>): void {
  app.get("/metrics", authentication, requireScope("read"), requireOperator, async (context) => {
    // What this isolate has not handed on yet belongs to it as well.
    await handOnMetrics(context.env);
    const text = await context.env.METRICS.getByName("edge").expose();
    return context.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}
