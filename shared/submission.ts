/** What a client sends as JSON for an image that lies somewhere: at an address, or uploaded before. */
import { z } from "zod";
import { analysisOptions, metadata } from "./analysis.ts";
import { idSchema } from "./ids.ts";
import { requestWebhook } from "./webhooks.ts";

export const imageUrl = z
  .url({ protocol: /^https?$/ })
  .regex(/^https?:\/\//)
  .max(2_048)
  .meta({
    description:
      "A public http or https address that answers 200 with the image, at most 20 MiB, within 20 seconds and after at " +
      "most three redirects. Private addresses are refused.",
    example: "https://example.com/photo.jpg",
  });

const uploadId = idSchema("upload").meta({ description: "An upload whose file has been PUT; it can be used once." });
const wishes = {
  options: analysisOptions.optional(),
  metadata: metadata.optional(),
  webhook: requestWebhook.optional(),
};

export const addressSubmission = z.strictObject({ image_url: imageUrl, ...wishes });
export const uploadSubmission = z.strictObject({ upload_id: uploadId, ...wishes });
export const jsonSubmission = z.union([addressSubmission, uploadSubmission]).meta({
  id: "JsonSubmission",
  example: { image_url: "https://example.com/photo.jpg", metadata: { case: "17" } },
});
export type JsonSubmission = z.input<typeof jsonSubmission>;
