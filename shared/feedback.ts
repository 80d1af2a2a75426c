/** What a customer found out about an analysis themselves. */
import { z } from "zod";

export const feedbackFindings = ["right", "wrong_region", "false_alarm", "missed"] as const;

export const newFeedback = z
  .strictObject({
    finding: z.enum(feedbackFindings).meta({
      description:
        "`right`; `wrong_region`: manipulated, but elsewhere; `false_alarm`: authentic; `missed`: manipulated, but called authentic.",
    }),
    comment: z.string().max(2_000).optional(),
  })
  .meta({ id: "NewFeedback", example: { finding: "wrong_region", comment: "The sign was edited, not the car." } });
export type NewFeedback = z.infer<typeof newFeedback>;

export const feedback = z
  .object({ finding: z.enum(feedbackFindings), comment: z.string().nullable(), at: z.iso.datetime() })
  .meta({
    id: "Feedback",
    example: { finding: "right", comment: null, at: "2026-11-24T10:02:00.000Z" },
    description: "The newest that was sent; kept and erased with the analysis.",
  });
export type Feedback = z.infer<typeof feedback>;
