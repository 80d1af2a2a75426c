/** The report: everything about one analysis that can be kept beside the image. */
import type { AnalysisOptions, Finding } from "@omni-iml/shared/analysis";
import type { storedFile } from "@omni-iml/shared/inference";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import type { z } from "zod";

export interface ReportInput {
  readonly analysis: string;
  readonly attempt: number;
  readonly finding: Finding;
  readonly options: AnalysisOptions;
  readonly manifest: ReleaseManifest;
  /** The other files of this analysis. */
  readonly files: Readonly<Record<string, z.infer<typeof storedFile>>>;
}

export function writeReport({
  analysis,
  attempt,
  finding,
  options,
  manifest,
  files,
}: ReportInput): Buffer<ArrayBuffer> {
  const { licence, model, pipeline, thresholds, score, training, figures } = manifest;
  const report = {
    analysis,
    attempt,
    made_at: new Date().toISOString(),
    ...finding,
    options,
    release: { licence, model, pipeline, thresholds, score, training, figures },
    files,
    reading:
      "score is the calibrated probability that anything in the image was manipulated. The probability map has the size of the displayed image; 255 means certainly manipulated. That nothing was detected does not prove authenticity.",
  };
  return Buffer.from(JSON.stringify(report, null, 2));
}
