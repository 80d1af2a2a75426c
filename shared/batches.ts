/** Batches: many images in one request, each an analysis of its own. */
import { z } from "zod";
import { analysisOptions, metadata } from "./analysis.ts";
import { idSchema } from "./ids.ts";
import { problemDocument } from "./problems.ts";
import { addressSubmission, uploadSubmission } from "./submission.ts";
import { requestWebhook } from "./webhooks.ts";

export const mostItems = 1_000;

/** As for one analysis, but nobody waits for it. */
const batchOptions = analysisOptions
  .extend({ priority: z.enum(["interactive", "batch"]).default("batch") })
  .meta({ id: "BatchOptions" });

const own = { options: batchOptions.optional(), metadata: metadata.optional() };
export const newBatchItem = z
  .union([addressSubmission.omit({ webhook: true }).extend(own), uploadSubmission.omit({ webhook: true }).extend(own)])
  .meta({ id: "NewBatchItem" });

export const newBatch = z
  .strictObject({
    items: z.array(newBatchItem).min(1).max(mostItems),
    options: batchOptions.optional().meta({ description: "Of every item that has none of its own." }),
    metadata: metadata.default({}),
    webhook: requestWebhook.optional().meta({ description: "Told once, when all items have ended." }),
  })
  .meta({
    id: "NewBatch",
    example: {
      items: [
        { image_url: "https://example.com/1.jpg" },
        { image_url: "https://example.com/2.jpg", metadata: { page: "2" } },
      ],
      options: { outputs: ["mask"] },
    },
  });
export type NewBatch = z.input<typeof newBatch>;

const count = z.int().min(0);
export const batch = z
  .object({
    id: idSchema("batch"),
    object: z.literal("batch"),
    status: z.enum(["running", "ended"]),
    created_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    canceled_at: z.iso.datetime().nullable(),
    expires_at: z.iso.datetime().nullable(),
    metadata,
    counts: z.object({
      total: count,
      pending: count.meta({ description: "Not begun." }),
      running: count,
      succeeded: count,
      failed: count,
      canceled: count,
      refused: count.meta({ description: "Never became an analysis; the item's `error` says why." }),
    }),
  })
  .meta({
    id: "Batch",
    example: {
      id: "ba_01kaw4v3r8h7t2m9c5x1q6zd0e",
      object: "batch",
      status: "running",
      created_at: "2026-11-24T09:30:00.000Z",
      ended_at: null,
      canceled_at: null,
      expires_at: null,
      metadata: { job: "nightly" },
      counts: { total: 2, pending: 1, running: 1, succeeded: 0, failed: 0, canceled: 0, refused: 0 },
    },
  });
export type Batch = z.infer<typeof batch>;

export const batchItemStatuses = ["pending", "running", "succeeded", "failed", "canceled", "refused"] as const;
export type BatchItemStatus = (typeof batchItemStatuses)[number];

const itemExample = {
  object: "batch_item",
  index: 0,
  status: "succeeded",
  analysis: "an_01kaw4v3r8h7t2m9c5x1q6zd0e",
  error: null,
};
export const batchItem = z
  .object({
    object: z.literal("batch_item"),
    index: count.meta({ description: "Its place in the request, from 0." }),
    status: z.enum(batchItemStatuses),
    analysis: idSchema("analysis").nullable(),
    error: problemDocument.nullable().meta({ description: "Of a refused item; a failed analysis has its own." }),
  })
  .meta({ id: "BatchItem", example: itemExample });
export type BatchItem = z.infer<typeof batchItem>;

export const batchItemPage = z
  .object({ object: z.literal("list"), data: z.array(batchItem), next_cursor: z.string().nullable() })
  .meta({ id: "BatchItemPage", example: { object: "list", data: [itemExample], next_cursor: null } });
export type BatchItemPage = z.infer<typeof batchItemPage>;
