/** Wiring only: which middleware and routes there are, and what the platform may call. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { Problem } from "@omni-iml/shared/problems";
import { methodNotAllowed } from "hono/method-not-allowed";
import { secureHeaders } from "hono/secure-headers";
import { consumeDispatches } from "./analysis/dispatch-queue.ts";
import type { DispatchMessage, Environment } from "./environment.ts";
import type { App } from "./middleware/app-types.ts";
import { authentication } from "./middleware/authentication.ts";
import { crossOrigin } from "./middleware/cross-origin.ts";
import { invalidRequest, problemResponse, renderError } from "./middleware/problem-response.ts";
import { requestId } from "./middleware/request-id.ts";
import { registerAccounts } from "./routes/accounts.ts";
import { registerAnalyses } from "./routes/analyses.ts";
import { registerApiKeys } from "./routes/api-keys.ts";
import { registerBatches } from "./routes/batches.ts";
import { registerDocumentation } from "./routes/documentation.ts";
import { registerEvents } from "./routes/events.ts";
import { registerHealth } from "./routes/health.ts";
import { registerIndexRebuild } from "./routes/index-rebuild.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { registerModels } from "./routes/models.ts";
import { registerPlaygroundPage, registerPlaygroundSession } from "./routes/playground.ts";
import { registerShared, registerShares } from "./routes/shares.ts";
import { registerUploads } from "./routes/uploads.ts";
import { registerUsage } from "./routes/usage.ts";
import { registerWebhookEndpoints } from "./routes/webhook-endpoints.ts";

export { AccountObject } from "./accounts/account-object.ts";
export { AnalysisObject } from "./analysis/analysis-object.ts";
export { ResultObject } from "./analysis/result-object.ts";
export { BatchObject } from "./batches/batch-object.ts";
export { IdempotencyObject } from "./idempotency/idempotency-object.ts";
export { RunnerPoolObject } from "./runners/pool-object.ts";
export { MetricsObject } from "./telemetry/metrics-object.ts";
export { UploadObject } from "./uploads/upload-object.ts";
export { EndpointObject } from "./webhooks/endpoint-object.ts";

const app = new OpenAPIHono<App>({
  defaultHook: (result) => {
    if (!result.success) throw invalidRequest(result.error, result.target);
  },
});

app.use(requestId);
// Before the headers below: a page needs others than the answers of an API.
registerPlaygroundPage(app);
app.use(
  secureHeaders({
    contentSecurityPolicy: { defaultSrc: ["'none'"], styleSrc: ["'self'"], frameAncestors: ["'none'"] },
  }),
);
app.use(async (context, next) => {
  await next();
  context.header("cache-control", "no-store");
});
app.use("/v1/*", crossOrigin);
app.use("/openapi.json", crossOrigin);
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: (context, methods) =>
      problemResponse(
        context,
        new Problem("method_not_allowed", `${context.req.method} is not answered at ${context.req.path}.`),
        { allow: methods.join(", ") },
      ),
  }),
);
registerPlaygroundSession(app);
registerShared(app);
app.use("/v1/*", authentication);

registerHealth(app);
registerMetrics(app);
registerDocumentation(app);
registerModels(app);
registerAnalyses(app);
registerEvents(app);
registerShares(app);
registerUploads(app);
registerBatches(app);
registerWebhookEndpoints(app);
registerUsage(app);
registerApiKeys(app);
registerAccounts(app);
registerIndexRebuild(app);

app.notFound((context) =>
  problemResponse(context, new Problem("not_found", `Nothing is found at ${context.req.path}.`)),
);
app.onError(renderError);

export default {
  fetch: app.fetch,
  queue: consumeDispatches,
} satisfies ExportedHandler<Environment, DispatchMessage>;
