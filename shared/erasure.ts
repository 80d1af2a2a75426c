/** What shows that an analysis was erased. */
import { z } from "zod";
import { idSchema } from "./ids.ts";

const objects = z.int().min(0);
export const erasure = z
  .object({
    object: z.literal("erasure"),
    analysis: idSchema("analysis"),
    reason: z.enum(["deleted", "expired"]),
    erased_at: z.iso.datetime(),
    status: z.enum(["sweeping", "complete"]).meta({
      description:
        "`complete`: nothing is left in storage, and no address by which a runner could store anything lives.",
    }),
    remaining: z
      .object({ input: objects, record: objects, results: objects })
      .meta({ description: "Stored objects of this analysis, counted for this answer." }),
    results_shared: z.boolean().meta({
      description: "Other analyses of yours, of the same bytes and options, still have these results.",
    }),
    final_sweep_at: z.iso.datetime().nullable().meta({
      description: "When storage is swept once more, after the last address a runner was given has died.",
    }),
  })
  .meta({
    id: "Erasure",
    example: {
      object: "erasure",
      analysis: "an_01kaw4v3r8h7t2m9c5x1q6zd0e",
      reason: "deleted",
      erased_at: "2026-11-24T09:41:12.000Z",
      status: "complete",
      remaining: { input: 0, record: 0, results: 0 },
      results_shared: false,
      final_sweep_at: null,
    },
  });
export type Erasure = z.infer<typeof erasure>;
