/**
 * The record of an analysis: everything that is known about it, as the JSON report keeps it. The reports for people are
 * made of the record and the pictures and of nothing else, so that whoever has kept both can make them again, to the
 * byte (render.ts).
 */
import { createRequire } from "node:module";
import { type AnalysisOptions, analysisOptions, type Finding, finding, outputNames } from "@omni-iml/shared/analysis";
import { storedFile } from "@omni-iml/shared/inference";
import { type ReleaseManifest, releaseManifest } from "@omni-iml/shared/release";
import sharp from "sharp";
import { z } from "zod";

const releaseFacts = releaseManifest
  .pick({ licence: true, model: true, thresholds: true, score: true, training: true, figures: true })
  // Records from before tiles had steps can be laid out still.
  .extend({ pipeline: releaseManifest.shape.pipeline.partial({ tile_step: true }) });

export const reportRecord = finding.extend({
  analysis: z.string(),
  attempt: z.int(),
  made_at: z.iso.datetime(),
  options: analysisOptions,
  release: releaseFacts.extend({ interpretation: z.object({ version: z.string(), sha256: z.string() }).nullable() }),
  software: z.record(z.string(), z.string()).meta({ description: "Versions of what computed this." }),
  /** Who described the regions, where it was a language model. */
  language_model: z.string().nullable(),
  /** The other files of this analysis. */
  files: z.record(z.string(), storedFile),
  reading: z.string(),
});
export type ReportRecord = z.infer<typeof reportRecord>;

const { version: runner } = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)("@omni-iml/gpu-runner/package.json"));
const { version: onnxruntime } = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)("onnxruntime-node/package.json"));

const software = {
  runner,
  node: process.versions.node,
  onnxruntime,
  sharp: sharp.versions.sharp ?? "",
  libvips: sharp.versions.vips,
};

export interface RecordInput {
  readonly analysis: string;
  readonly attempt: number;
  readonly finding: Finding;
  readonly options: AnalysisOptions;
  readonly manifest: ReleaseManifest;
  readonly languageModel: string | null;
  /** Those that are stored already, in whatever order they came to be. */
  readonly files: ReportRecord["files"];
  readonly now: Date;
}

export function recordOf({
  analysis,
  attempt,
  finding: found,
  options,
  manifest,
  languageModel,
  files,
  now,
}: RecordInput): ReportRecord {
  const { licence, model, pipeline, thresholds, score, training, figures, interpretation } = manifest;
  return {
    analysis,
    attempt,
    made_at: now.toISOString(),
    ...found,
    options,
    release: {
      licence,
      model,
      pipeline,
      thresholds,
      score,
      training,
      figures,
      interpretation:
        interpretation === undefined ? null : { version: interpretation.version, sha256: interpretation.model.sha256 },
    },
    software,
    language_model: found.regions.some((region) => region.interpretation?.source === "vlm") ? languageModel : null,
    files: Object.fromEntries(outputNames.flatMap((name) => (files[name] ? [[name, files[name]]] : []))),
    reading:
      "score is the calibrated probability that anything in the image was manipulated. The probability map has the size of the displayed image; 255 means certainly manipulated. That nothing was detected does not prove authenticity.",
  };
}

export function encodeRecord(record: ReportRecord): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(record, null, 2));
}
