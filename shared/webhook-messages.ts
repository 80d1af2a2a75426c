/** The bodies that are sent to webhook endpoints. */
import { z } from "zod";
import { analysis } from "./analysis.ts";
import { batch } from "./batches.ts";
import { testEventType } from "./webhooks.ts";

const timestamp = z.iso.datetime().meta({ description: "When it happened; an attempt has its own in the headers." });

export const analysisEvent = z
  .object({
    type: z.enum(["analysis.succeeded", "analysis.failed", "analysis.canceled"]),
    timestamp,
    data: analysis,
  })
  .meta({ id: "AnalysisEvent" });

export const batchEvent = z
  .object({ type: z.literal("batch.completed"), timestamp, data: batch })
  .meta({ id: "BatchEvent" });

export const testEvent = z
  .object({ type: z.literal(testEventType), timestamp, data: z.object({ endpoint: z.string() }) })
  .meta({ id: "TestEvent" });

export const webhookMessage = z.discriminatedUnion("type", [analysisEvent, batchEvent, testEvent]);
export type WebhookMessageBody = z.infer<typeof webhookMessage>;
