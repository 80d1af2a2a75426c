/** Links by which anybody who has one can read one analysis, until it is revoked or the analysis ends. */
import { z } from "zod";

/** `sh_`, the analysis's own 26 characters, and 32 that nobody guesses (160 bits). */
const format = /^sh_([0-9a-hjkmnp-tv-z]{26})([0-9a-hjkmnp-tv-z]{32})$/;

export const shareToken = z
  .string()
  .regex(format, "expected a token such as sh_…")
  .meta({ example: "sh_01kaw4v3r8h7t2m9c5x1q6zd0e4k7m2x9qz1bc4k7m2x9qz1bc4k7m2x9q" });

export const composeShareToken = (analysis: string, secret: string) => `sh_${analysis.slice("an_".length)}${secret}`;

/** The analysis that a token is for, if it is one. */
export function analysisOfToken(token: string): string | null {
  const [, id] = format.exec(token) ?? [];
  return id === undefined ? null : `an_${id}`;
}

export const share = z
  .object({
    object: z.literal("share"),
    token: shareToken,
    url: z.string().meta({ description: "Where a person can look at it, relative to this service." }),
    expires_at: z.iso.datetime().nullable().meta({ description: "When the analysis ends, and the link with it." }),
  })
  .meta({ id: "Share" });
export type Share = z.infer<typeof share>;
