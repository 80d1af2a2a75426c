/** What a browser gets that uses the playground without an API key. */
import { z } from "zod";

/** Analyses a month, and seconds for which input and results are kept. */
export const playgroundQuota = 100;
export const playgroundRetention = 86_400;

export const playgroundSession = z
  .object({
    object: z.literal("playground_session"),
    quota: z.object({ limit: z.int(), remaining: z.int(), resets_at: z.iso.datetime() }),
    retention_s: z.int().meta({ description: "Seconds for which images and results are kept." }),
    expires_at: z.iso.datetime().meta({ description: "When the cookie ends, and with it the way to its analyses." }),
  })
  .meta({ id: "PlaygroundSession" });
export type PlaygroundSession = z.infer<typeof playgroundSession>;
