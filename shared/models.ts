/** What `GET /v1/models` tells about a release. */
import { z } from "zod";
import { releaseManifest } from "./release.ts";

export const modelCard = releaseManifest
  .pick({
    name: true,
    version: true,
    release: true,
    precision: true,
    licence: true,
    thresholds: true,
    training: true,
    figures: true,
  })
  .extend({ object: z.literal("model") })
  .meta({ id: "Model" });
export type ModelCard = z.infer<typeof modelCard>;
