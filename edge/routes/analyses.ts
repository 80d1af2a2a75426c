/** `/v1/analyses`: send an image, read, list, cancel and erase. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import {
  analysis,
  analysisOptions,
  analysisPage,
  analysisStatuses,
  metadata as metadataSchema,
} from "@omni-iml/shared/analysis";
import { idSchema, newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { requestWebhook } from "@omni-iml/shared/webhooks";
import type { Context } from "hono";
import { z } from "zod";
import type { AccountLimits } from "../accounts/authenticate.ts";
import { cacheKey } from "../analysis/cache-key.ts";
import { listAnalyses } from "../analysis/index-table.ts";
import { release } from "../analysis/release.ts";
import { type AnalysisSnapshot, hasEnded, present } from "../analysis/snapshot.ts";
import { type Environment, settings } from "../environment.ts";
import { log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { readPreference } from "../middleware/prefer.ts";
import { reserveInBand } from "../storage/in-band-budget.ts";
import { inputKey } from "../storage/objects.ts";
import { analysisPath, found, object } from "./analysis-path.ts";
import { problems, security } from "./documentation.ts";
import { declaredLength, memoryFor, readSubmission, type Submission } from "./submission.ts";

const noQuery = z.strictObject({});
const prefer = z.object({
  prefer: z
    .string()
    .optional()
    .meta({ description: "`wait=N` holds the answer until the analysis has ended, N up to 60 seconds." }),
});
const resource = { "application/json": { schema: analysis } };

const submission = {
  method: "post",
  path: "/v1/analyses",
  summary: "Analyse an image",
  description:
    "Sends an image of up to 20 MiB and, unless `Prefer` says otherwise, waits up to 30 seconds for the end. " +
    "`Prefer: wait=N` (up to 60) or `respond-async` choose how long.",
  security,
  request: {
    headers: prefer,
    query: z.object({
      options: z.string().optional().meta({ description: "With a raw body: AnalysisOptions as JSON." }),
      metadata: z.string().optional().meta({ description: "With a raw body: your labels as JSON." }),
      webhook: z.string().optional().meta({ description: "With a raw body: RequestWebhook as JSON." }),
    }),
    body: {
      required: true,
      content: {
        "multipart/form-data": {
          schema: z.object({
            image: z.string().meta({ format: "binary" }),
            options: analysisOptions.optional(),
            metadata: metadataSchema.optional(),
            webhook: requestWebhook.optional(),
          }),
        },
        "image/*": { schema: z.string().meta({ format: "binary" }) },
        "application/octet-stream": { schema: z.string().meta({ format: "binary" }) },
      },
    },
  },
  responses: {
    201: { description: "The analysis has ended; `status` says how.", content: resource },
    202: { description: "Accepted; read it at `Location`.", content: resource },
    ...problems("invalid_request", "empty_body", "image_too_large", "unsupported_media_type", "overloaded"),
  },
} as const;

const read = createRoute({
  method: "get",
  path: "/v1/analyses/{id}",
  summary: "Read an analysis",
  security,
  request: { params: analysisPath, query: noQuery, headers: prefer },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The analysis.", content: resource },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/analyses",
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
      content: { "application/json": { schema: analysisPage } },
    },
    ...problems("invalid_request"),
  },
});

const cancel = createRoute({
  method: "post",
  path: "/v1/analyses/{id}/cancel",
  summary: "Cancel an analysis",
  description: "Ends the analysis as `canceled` unless it has ended already; answers with its state either way.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("write"),
  responses: {
    200: { description: "The analysis, which has ended now.", content: resource },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

const erase = createRoute({
  method: "delete",
  path: "/v1/analyses/{id}",
  summary: "Erase an analysis",
  description: "Deletes the image, the results and everything stored about them. From then on the id answers 410.",
  security,
  request: { params: analysisPath, query: noQuery },
  middleware: requireScope("write"),
  responses: { 204: { description: "Erased." }, ...problems("invalid_request", "not_found") },
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

/** Counts the new analysis in, or refuses it. */
async function admit(env: Environment, id: string, account: string, limits: AccountLimits, until: number) {
  const admission = await env.ACCOUNTS.getByName(account).admit(id, until, limits);
  if (!admission.admitted) {
    throw new Problem(admission.code, admission.detail, { retryAfter: admission.retryAfter });
  }
}

/** Stores the input, then the record: from here on the analysis cannot get lost. */
async function accept(
  env: Environment,
  account: string,
  id: string,
  { image, input, options, metadata, webhook }: Submission,
  queued: boolean,
  trace: string,
): Promise<AnalysisSnapshot> {
  const key = inputKey(account, id);
  try {
    await env.STORAGE.put(key, image, { sha256: input.sha256, httpMetadata: { contentType: input.content_type } });
  } catch (cause) {
    throw new Problem("storage_unavailable", "The image could not be stored.", { cause });
  }
  const start = queued ? "queued" : "now";
  const analysisKey = await cacheKey(account, input.sha256, options, release);
  const snapshot = await object(env, id).create(
    { id, account, cacheKey: analysisKey, release: release.release, options, metadata, input, webhook, trace },
    start,
  );
  if (start === "queued") {
    // The queue only paces: should it fail, the record's own timer dispatches.
    await env.DISPATCH.send({ analysis: id }).catch((error: unknown) =>
      log("warn", "an analysis was not queued; its timer will dispatch it", { analysis: id, error }),
    );
  }
  return snapshot;
}

async function submit(context: Context<App>): Promise<Response> {
  const { env } = context;
  const limits = settings(env);
  const { account, limits: accountLimits } = context.get("caller");
  const preference = readPreference(context.req.header("prefer"));
  const id = newId("analysis");
  const declared = declaredLength(context.req.raw, limits.IN_BAND_MAX_BYTES);
  let snapshot: AnalysisSnapshot;
  {
    using _memory = reserveInBand(memoryFor(declared, limits.IN_BAND_MAX_BYTES), limits.IN_BAND_BUDGET_BYTES);
    const sent = await readSubmission(context.req.raw, declared, limits.IN_BAND_MAX_BYTES);
    const batch = sent.options.priority === "batch";
    const until = Date.now() + (batch ? limits.DEADLINE_BATCH_S : limits.DEADLINE_INTERACTIVE_S);
    await admit(env, id, account, accountLimits, until);
    try {
      snapshot = await accept(env, account, id, sent, batch || preference.async, context.get("trace"));
    } catch (error) {
      context.executionCtx.waitUntil(env.ACCOUNTS.getByName(account).withdraw(id));
      throw error;
    }
  }
  snapshot = await waitForEnd(env, snapshot, preference.wait ?? limits.DEFAULT_WAIT_S);
  if (preference.applied !== null) context.header("preference-applied", preference.applied);
  context.header("location", `/v1/analyses/${id}`);
  return context.json(await present(snapshot, limits), hasEnded(snapshot.status) ? 201 : 202);
}

export function registerAnalyses(app: OpenAPIHono<App>): void {
  // Described here but read by hand: the library would buffer the body, and copy it, before any limit is checked.
  app.openAPIRegistry.registerPath(submission);
  app.post(submission.path, requireScope("write"), submit);

  app.openapi(list, async (context) => {
    const { limit, cursor, status } = context.req.valid("query");
    const page = await listAnalyses(context.env.DATABASE, context.get("caller").account, { limit, cursor, status });
    if (page.next_cursor !== null) {
      const next = new URL(context.req.url);
      next.searchParams.set("cursor", page.next_cursor);
      context.header("link", `<${next.pathname}${next.search}>; rel="next"`);
    }
    return context.json(page, 200);
  });

  app.openapi(read, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const preference = readPreference(context.req.header("prefer"));
    const first = found(id, await object(context.env, id).read(account));
    const snapshot = found(id, await waitForEnd(context.env, first, preference.wait ?? 0));
    if (preference.applied !== null) context.header("preference-applied", preference.applied);
    return context.json(await present(snapshot, settings(context.env)), 200);
  });

  app.openapi(cancel, async (context) => {
    const { id } = context.req.valid("param");
    const snapshot = found(id, await object(context.env, id).cancel(context.get("caller").account));
    return context.json(await present(snapshot, settings(context.env)), 200);
  });

  app.openapi(erase, async (context) => {
    const { id } = context.req.valid("param");
    const snapshot = await object(context.env, id).erase(context.get("caller").account);
    if (snapshot === null) throw new Problem("not_found", `There is no analysis ${id}.`);
    return context.body(null, 204);
  });
}
