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
  .meta({ id: "Erasure" });
export type Erasure = z.infer<typeof erasure>;
