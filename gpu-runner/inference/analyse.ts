/** One analysis inside the inference process: decode, localise, judge, encode. */
import { domains } from "@omni-iml/shared/analysis";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import { type DecodedImage, decodeImage } from "../image/decode.ts";
import { encodeGrey, type GreyMap, greyImage, maskOf } from "../image/encode.ts";
import { displayedSize, orient } from "../image/orientation.ts";
import { gatherEvidence } from "../result/evidence.ts";
import { explain } from "../result/explanation.ts";
import { inputCaveats } from "../result/input-quality.ts";
import { drawOverlay } from "../result/overlay.ts";
import { findRegions } from "../result/regions.ts";
import { imageScore, verdictOf } from "../result/score.ts";
import type { TileRunner } from "./batcher.ts";
import { type Localisation, localise } from "./localise.ts";
import type { AnalyseCommand, JobStage, PixelFinding, PixelOutput } from "./protocol.ts";

export interface Served {
  readonly manifest: ReleaseManifest;
  readonly batcher: TileRunner;
  readonly maxPixels: number;
}

export interface Analysed {
  readonly finding: PixelFinding;
  readonly files: Partial<Record<PixelOutput, Uint8Array>>;
}

/**
 * Analyses one file.
 *
 * @throws Problem where the file is at fault, the signal's reason where the job is withdrawn.
 */
export async function analyse(
  job: Pick<AnalyseCommand, "bytes" | "sha256" | "outputs" | "options">,
  { manifest, batcher, maxPixels }: Served,
  signal: AbortSignal,
  onStage: (stage: JobStage, progress: number | null) => void,
): Promise<Analysed> {
  const timings: Record<string, number> = {};
  const stage = async <Result>(name: JobStage, work: () => Promise<Result>): Promise<Result> => {
    signal.throwIfAborted();
    onStage(name, null);
    const start = performance.now();
    const result = await work();
    timings[name] = Math.round(performance.now() - start);
    return result;
  };

  const image = await stage("decode", () => decodeImage(job.bytes, maxPixels));
  const localisation = await stage("inference", () =>
    localise(image, manifest.pipeline, batcher, { signal, progress: (done) => onStage("inference", done) }),
  );
  return stage("encode", async () => {
    const map = await displayed(localisation.map, image);
    const threshold = job.options.threshold ?? manifest.thresholds.pixel;
    const regions = findRegions(map, threshold, manifest.thresholds.region_area_fraction);
    const files: Partial<Record<PixelOutput, Uint8Array>> = {};
    for (const output of job.outputs) {
      signal.throwIfAborted();
      if (output === "probability") files.probability = await encodeGrey(map);
      else if (output === "mask") files.mask = await encodeGrey(maskOf(map, threshold));
      else files.overlay = await drawOverlay({ stored: image, orientation: image.orientation, map, regions });
    }
    const score = imageScore(manifest.score, {
      map,
      networkScores: localisation.networkScores,
      pixelThreshold: manifest.thresholds.pixel,
    });
    const facts = factsOf(image, job);
    const { evidence, fromCamera, degraded } = await gatherEvidence(image, localisation.modality);
    const judged = {
      image: facts,
      verdict: verdictOf(score, manifest.thresholds),
      score,
      domain: domainOf(localisation),
      modality: localisation.modality,
      regions,
      input_quality: inputCaveats(facts, fromCamera),
    };
    return {
      files,
      finding: {
        ...judged,
        threshold,
        explanation: job.options.interpretation === "none" ? "" : explain(judged),
        evidence: job.options.evidence ? evidence : [],
        degraded_checks: degraded,
        timings,
      },
    };
  });
}

/** The map as the image is displayed; the model saw the stored grid. */
async function displayed(map: GreyMap, { orientation }: DecodedImage): Promise<GreyMap> {
  if (orientation === 1) return map;
  const data = await orient(greyImage(map), orientation).toColourspace("b-w").raw().toBuffer();
  return { data, ...displayedSize(map.width, map.height, orientation) };
}

function factsOf(
  image: DecodedImage,
  { bytes, sha256 }: Pick<AnalyseCommand, "bytes" | "sha256">,
): PixelFinding["image"] {
  const jpeg = image.header.jpeg;
  return {
    sha256,
    format: image.header.format,
    ...displayedSize(image.width, image.height, image.orientation),
    bytes: bytes.byteLength,
    orientation: image.orientation,
    frames: image.frames,
    jpeg: jpeg && { quality: jpeg.quality, subsampling: jpeg.subsampling, progressive: jpeg.progressive },
  };
}

function domainOf({ domain }: Localisation): PixelFinding["domain"] {
  const confidence = Math.max(...domain);
  return { name: domains[domain.indexOf(confidence)] ?? "natural", confidence: Math.min(1, confidence) };
}
