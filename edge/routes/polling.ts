/** When it pays to ask again: what answers about something that has not ended say in `Retry-After`. */
import type { AnalysisOptions } from "@omni-iml/shared/analysis";
import type { Context } from "hono";
import { z } from "zod";

/** Seconds. Somebody waits for an interactive analysis, and it takes few of them; nobody waits for what is done in batches. */
const pauses = { interactive: 1, batch: 5 } as const satisfies Record<AnalysisOptions["priority"], number>;

/** Tells when to ask again for what has not `ended` yet. */
export function sayWhenToAskAgain(context: Context, ended: boolean, priority: AnalysisOptions["priority"]): void {
  if (!ended) context.header("retry-after", String(pauses[priority]));
}

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
