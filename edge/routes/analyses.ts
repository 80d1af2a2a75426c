/** `/v1/analyses`: send an image, read, list, cancel and erase. */
import { createRoute, type OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import {
  analysis,
  analysisOptions,
  analysisPage,
  analysisStatuses,
  metadata as metadataSchema,
} from "@omni-iml/shared/analysis";
import { erasure } from "@omni-iml/shared/erasure";
import { newFeedback } from "@omni-iml/shared/feedback";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { jsonSubmission } from "@omni-iml/shared/submission";
import { uploadTypes } from "@omni-iml/shared/uploads";
import { requestWebhook } from "@omni-iml/shared/webhooks";
import type { Context } from "hono";
import { z } from "zod";
import { listAnalyses } from "../analysis/index-table.ts";
import { type AnalysisSnapshot, hasEnded, present } from "../analysis/snapshot.ts";
import { type Environment, settings } from "../environment.ts";
import { idempotencyHeader, once } from "../idempotency/once.ts";
import { accept } from "../intake/accept.ts";
import { log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { readPreference } from "../middleware/prefer.ts";
import { limitAddress, requirePlaygroundSubmission } from "../sessions/playground-session.ts";
import { reserveInBand } from "../storage/in-band-budget.ts";
import { checkWebhookAddress } from "../webhooks/address.ts";
import { analysisPath, found, object } from "./analysis-path.ts";
import { problems, security } from "./documentation.ts";
import { hashOf, json, nextLink, noQuery } from "./json.ts";
import { acceptedHeaders, pollingHeaders, sayWhenToAskAgain } from "./polling.ts";
import { declaredLength, memoryFor, payloadHash, readSubmission } from "./submission.ts";

const prefer = z.object({
  prefer: z
    .string()
    .optional()
    .meta({ description: "`wait=N` holds the answer until the analysis has ended, N up to 60 seconds." }),
});
const resource = json(analysis);

const location = acceptedHeaders.pick({ location: true });

const imageBytes = z.string().meta({ format: "binary" });

/** With a raw body, what the other forms carry beside the image comes in the query, as JSON. */
function besideRawBody(name: string, schema: z.ZodType) {
  const schemaObject = schema.meta()?.id;
  const description = "With a raw body only: as the field of this name in the other forms.";
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${schemaObject}` } } };
  return { name, in: "query" as const, required: false, description, content };
}

const submission = {
  method: "post",
  path: "/v1/analyses",
  operationId: "createAnalysis",
  summary: "Analyse an image",
  description:
    "Sends an image of up to 20 MiB and, unless `Prefer` says otherwise, waits up to 30 seconds for the end. " +
    "`Prefer: wait=N` (up to 60) or `respond-async` choose how long.",
  security,
  parameters: [
    besideRawBody("options", analysisOptions),
    besideRawBody("metadata", metadataSchema),
    besideRawBody("webhook", requestWebhook),
  ],
  request: {
    headers: prefer.extend(idempotencyHeader.shape),
    body: {
      required: true,
      content: {
        "application/json": { schema: jsonSubmission },
        "multipart/form-data": {
          schema: z.object({
            image: imageBytes,
            options: analysisOptions.optional(),
            metadata: metadataSchema.optional(),
            webhook: requestWebhook.optional(),
          }),
        },
        ...Object.fromEntries(uploadTypes.map((type) => [type, { schema: imageBytes }])),
      },
    },
  },
  responses: {
    201: { description: "The analysis has ended; `status` says how.", headers: location, content: resource },
    202: { description: "Accepted; read it at `Location`.", headers: acceptedHeaders, content: resource },
    ...problems(
      "invalid_request",
      "empty_body",
      "not_found",
      "upload_not_ready",
      "upload_used",
      "gone",
      "image_too_large",
      "unsupported_media_type",
      "image_url_refused",
      "image_url_failed",
      "idempotency_key_reused",
      "quota_exceeded",
      "too_many_in_flight",
      "overloaded",
      "storage_unavailable",
    ),
  },
} satisfies RouteConfig;

const read = createRoute({
  method: "get",
  path: "/v1/analyses/{id}",
  operationId: "getAnalysis",
  summary: "Read an analysis",
  security,
  request: { params: analysisPath, query: noQuery, headers: prefer },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The analysis.", headers: pollingHeaders, content: resource },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/analyses",
  operationId: "listAnalyses",
  summary: "List analyses, newest first",
  description: "The list is an index and may be a moment behind the analyses themselves.",
  security,
  request: {
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(100).default(20),
      cursor: idSchema("analysis").optional(),
      status: z.enum(analysisStatuses).optional(),
    }),
  },
  middleware: requireScope("read"),
  responses: {
    200: {
      description: "A page; the Link header has the address of the next one.",
      content: json(analysisPage),
    },
    ...problems("invalid_request"),
  },
});

const cancel = createRoute({
  method: "post",
  path: "/v1/analyses/{id}/cancel",
  operationId: "cancelAnalysis",
  summary: "Cancel an analysis",
  description: "Ends the analysis as `canceled` unless it has ended already; answers with its state either way.",
  security,
  request: { params: analysisPath, query: noQuery, headers: idempotencyHeader },
  middleware: requireScope("write"),
  responses: {
    200: { description: "The analysis, which has ended now.", content: resource },
    ...problems("invalid_request", "not_found", "gone", "idempotency_key_reused"),
  },
});

const erase = createRoute({
  method: "delete",
  path: "/v1/analyses/{id}",
  operationId: "deleteAnalysis",
  summary: "Erase an analysis",
  description: "Deletes the image, the results and everything stored about them. From then on the id answers 410.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("write"),
  responses: { 204: { description: "Erased." }, ...problems("invalid_request", "not_found") },
});

const feedback = createRoute({
  method: "post",
  path: "/v1/analyses/{id}/feedback",
  operationId: "giveFeedback",
  summary: "Say what you found yourself",
  description: "Kept with the analysis, in place of what was said before, and erased with it. Used for nothing else.",
  security,
  request: {
    params: analysisPath,
    query: noQuery,
    headers: idempotencyHeader,
    body: { required: true, content: json(newFeedback) },
  },
  middleware: requireScope("write"),
  responses: {
    200: { description: "The analysis with your finding.", content: resource },
    ...problems("invalid_request", "not_found", "gone", "idempotency_key_reused"),
  },
});

const erasureOf = createRoute({
  method: "get",
  path: "/v1/analyses/{id}/erasure",
  operationId: "getErasure",
  summary: "See that an analysis was erased",
  description:
    "Of a deleted or expired analysis: when, why, and what is left of it in storage, counted for this answer.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The erasure.", content: json(erasure) },
    ...problems("invalid_request", "not_found"),
  },
});

/** Holds until the analysis has ended or `wait` is over. An object that restarts meanwhile is no reason to fail. */
async function waitForEnd(env: Environment, snapshot: AnalysisSnapshot, wait: number): Promise<AnalysisSnapshot> {
  if (wait <= 0 || hasEnded(snapshot.status)) return snapshot;
  try {
    return (await object(env, snapshot.id).wait(snapshot.account, wait)) ?? snapshot;
  } catch (error) {
    log("warn", "waiting for an analysis was cut off", { analysis: snapshot.id, error });
    return (await object(env, snapshot.id).read(snapshot.account)) ?? snapshot;
  }
}

async function submit(context: Context<App>): Promise<Response> {
  const { env } = context;
  const limits = settings(env);
  const { account, limits: accountLimits, retention, playground } = context.get("caller");
  if (playground) await limitAddress(env.PLAYGROUND_ANALYSES, context.req.raw, "images");
  const preference = readPreference(context.req.header("prefer"));
  const most = limits.IN_BAND_MAX_BYTES;
  const declared = declaredLength(context.req.raw, most);
  let made: { id: string; created: AnalysisSnapshot | null };
  {
    using _memory = reserveInBand(memoryFor(context.req.raw, declared, most), limits.IN_BAND_BUDGET_BYTES);
    const sent = await readSubmission(context.req.raw, declared, most);
    const { source, options, metadata, webhook } = sent;
    if (playground) requirePlaygroundSubmission(sent);
    if (webhook !== null) checkWebhookAddress(limits, webhook.url, "webhook.url");
    const queued = preference.async || options.priority === "batch";
    const order = { account, limits: accountLimits, retention, source, options, metadata, webhook, queued };
    const trace = context.get("trace");
    made = await once(
      context,
      await payloadHash(sent),
      () => newId("analysis"),
      (id, { key, again }) => accept(env, { ...order, id, trace, idempotencyKey: key, again, batch: null }),
    );
  }
  const { id, created } = made;
  let snapshot = created ?? found(id, await object(env, id).read(account));
  snapshot = await waitForEnd(env, snapshot, preference.wait ?? limits.DEFAULT_WAIT_S);
  if (preference.applied !== null) context.header("preference-applied", preference.applied);
  context.header("location", `/v1/analyses/${id}`);
  sayWhenToAskAgain(context, hasEnded(snapshot.status), snapshot.options.priority);
  return context.json(await present(snapshot, limits), hasEnded(snapshot.status) ? 201 : 202);
}

export function registerAnalyses(app: OpenAPIHono<App>): void {
  // Described here but read by hand: the library would buffer the body, and copy it, before any limit is checked.
  app.openAPIRegistry.registerPath(submission);
  app.post(submission.path, requireScope("write"), submit);

  app.openapi(list, async (context) => {
    const { limit, cursor, status } = context.req.valid("query");
    const page = await listAnalyses(context.env.DATABASE, context.get("caller").account, { limit, cursor, status });
    return context.json(page, 200, nextLink(context.req.url, page.next_cursor));
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const preference = readPreference(context.req.header("prefer"));
    const first = found(id, await object(context.env, id).read(account));
    const snapshot = found(id, await waitForEnd(context.env, first, preference.wait ?? 0));
    if (preference.applied !== null) context.header("preference-applied", preference.applied);
    sayWhenToAskAgain(context, hasEnded(snapshot.status), snapshot.options.priority);
    return context.json(await present(snapshot, settings(context.env)), 200);
  });

  app.openapi(cancel, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const { created } = await once(
      context,
      "",
      () => id,
      async () => {
        return found(id, await object(context.env, id).cancel(account));
      },
    );
    const snapshot = created ?? found(id, await object(context.env, id).read(account));
    return context.json(await present(snapshot, settings(context.env)), 200);
  });

  app.openapi(feedback, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const sent = context.req.valid("json");
    const { created } = await once(
      context,
      await hashOf(sent),
      () => id,
      async () => {
        return found(id, await object(context.env, id).note(account, sent));
      },
    );
    const snapshot = created ?? found(id, await object(context.env, id).read(account));
    return context.json(await present(snapshot, settings(context.env)), 200);
  });

  app.openapi(erasureOf, async (context) => {
    const { id } = context.req.valid("param");
    const shown = await object(context.env, id).erasure(context.get("caller").account);
    if (shown === null) throw new Problem("not_found", `No analysis ${id} was erased.`);
    const { input, record, results } = shown;
    const remaining = { input, record, results: results.objects };
    const complete = shown.swept && input + record + results.objects === 0 && results.sweptAgainAt === null;
    return context.json(
      {
        object: "erasure" as const,
        analysis: id,
        reason: shown.reason,
        erased_at: new Date(shown.at).toISOString(),
        status: complete ? ("complete" as const) : ("sweeping" as const),
        remaining,
        results_shared: results.shared,
        final_sweep_at: results.sweptAgainAt === null ? null : new Date(results.sweptAgainAt).toISOString(),
      },
      200,
    );
  });

  app.openapi(erase, async (context) => {
    const { id } = context.req.valid("param");
    const snapshot = await object(context.env, id).erase(context.get("caller").account);
    if (snapshot === null) throw new Problem("not_found", `There is no analysis ${id}.`);
    return context.body(null, 204);
  });
}
