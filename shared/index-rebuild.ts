/** One step of making the list of analyses anew from the records in storage. */
import { z } from "zod";

export const indexRebuild = z
  .object({
    object: z.literal("index_rebuild"),
    records: z.int().meta({ description: "Records that were read in this step." }),
    unreadable: z
      .array(z.string())
      .meta({ description: "Keys of records that are damaged; each is named in the log with the reason." }),
    next_cursor: z.string().nullable().meta({ description: "Where the next step begins; `null` after the last one." }),
  })
  .meta({
    id: "IndexRebuild",
    example: { object: "index_rebuild", records: 200, unreadable: [], next_cursor: "eyJrIjoicmVjb3Jkcy9hY18…" },
  });
export type IndexRebuild = z.infer<typeof indexRebuild>;
