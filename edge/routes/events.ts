/** `GET /v1/analyses/{id}/events`: what happens to an analysis, as server-sent events. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { endEvent } from "@omni-iml/shared/events";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { hasEnded, present } from "../analysis/snapshot.ts";
import { settings } from "../environment.ts";
import { log } from "../log.ts";
import type { App } from "../middleware/app-types.ts";
import { requireScope } from "../middleware/authentication.ts";
import { analysisPath, found, object } from "./analysis-path.ts";
import { problems, security } from "./documentation.ts";

/** Often enough that no proxy takes the connection for dead. */
const heartbeat = 15_000;

/** One event as it stands in the stream; `data` is the JSON of what its name says (shared/events.ts). */
const sentEvent = z
  .object({
    id: z.string().optional().meta({ description: "For `Last-Event-ID`; `end` has none, so that it is sent again." }),
    event: z.enum(["status", "stage", endEvent]),
    data: z.string().meta({ description: "JSON: `{status, at}`, `{stage, progress, attempt, at}`, or the Analysis." }),
  })
  .meta({
    id: "AnalysisStreamEvent",
    example: { id: "2", event: "status", data: '{"status":"running","at":"2026-11-24T09:30:00.050Z"}' },
  });

const events = createRoute({
  method: "get",
  path: "/v1/analyses/{id}/events",
  operationId: "streamAnalysisEvents",
  summary: "Follow an analysis",
  description:
    "Server-sent events: `status` and `stage` as they happen, from the first one on or after `Last-Event-ID`, and " +
    "`end` with the analysis itself; then the stream ends. A comment every 15 seconds keeps it open.",
  security,
  request: {
    params: analysisPath,
    query: z.strictObject({}),
    headers: z.object({ "last-event-id": z.coerce.number().int().min(0).optional() }),
  },
  middleware: requireScope("read"),
  responses: {
    200: { description: "The events.", content: { "text/event-stream": { schema: sentEvent } } },
    ...problems("invalid_request", "not_found", "gone"),
  },
});

export function registerEvents(app: OpenAPIHono<App>): void {
  app.openapi(events, async (context) => {
    const { id } = context.req.valid("param");
    const { account } = context.get("caller");
    const analysis = object(context.env, id);
    found(id, await analysis.read(account));
    let sequence = context.req.valid("header")["last-event-id"] ?? 0;
    return streamSSE(
      context,
      async (stream) => {
        while (!stream.aborted) {
          const news = await analysis.follow(account, sequence, heartbeat);
          if (news === null) return;
          for (const event of news.events) {
            const data = JSON.stringify({ ...JSON.parse(event.data), at: new Date(event.at).toISOString() });
            await stream.writeSSE({ id: String(event.sequence), event: event.type, data });
            sequence = event.sequence;
          }
          if (hasEnded(news.snapshot.status)) {
            const resource = await present(news.snapshot, settings(context.env));
            await stream.writeSSE({ event: endEvent, data: JSON.stringify(resource) });
            return;
          }
          if (news.events.length === 0) await stream.write(": alive\n\n");
        }
      },
      // The client reconnects with Last-Event-ID and misses nothing.
      async (error) => log("warn", "an event stream broke off", { analysis: id, error }),
    );
  });
}
