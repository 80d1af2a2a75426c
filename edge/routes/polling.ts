/** When it pays to ask again: what answers about something that has not ended say in `Retry-After`. */
import type { AnalysisOptions } from "@omni-iml/shared/analysis";
import { z } from "zod";

/** Seconds. Somebody waits for an interactive analysis, and it takes few of them; nobody waits for what is done in batches. */
const pauses = { interactive: 1, batch: 5 } as const satisfies Record<AnalysisOptions["priority"], number>;

/** The value of the header for an analysis of this priority; a batch is asked for as one of `batch` is. */
export const retryAfter = (priority: AnalysisOptions["priority"]): string => String(pauses[priority]);

const seconds = z
  .string()
  .optional()
  .meta({ description: "Seconds after which to ask again; only while it has not ended.", example: "1" });

/** For the description of answers that may not be the last word. */
export const pollingHeaders = z.object({ "retry-after": seconds });

/** The same where the answer also says what to ask for. */
export const acceptedHeaders = pollingHeaders.extend({
  location: z.string().meta({ description: "Where to read it." }),
});
