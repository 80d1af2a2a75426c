/** One analysis inside the inference process: decode, localise, judge, encode. */
import { domains, type Region } from "@omni-iml/shared/analysis";
import { messageOf } from "@omni-iml/shared/message-of";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import {
  believedCopies,
  examine,
  type FoundCopies,
  findTraces,
  searchCopies,
  showsText,
} from "../evidence/evidence.ts";
import { Findings } from "../evidence/findings.ts";
import { readRegions, withText } from "../evidence/text/regions.ts";
import { type DecodedImage, decodeImage } from "../image/decode.ts";
import { encodeGrey, type GreyMap, greyImage, maskOf } from "../image/encode.ts";
import { displayedSize, orient } from "../image/orientation.ts";
import type { Interpreter } from "../interpretation/contract.ts";
import { interpretRegions } from "../interpretation/interpret.ts";
import { promptPictures } from "../interpretation/prompt-pictures.ts";
import { reportPictures } from "../report/pictures.ts";
import { explain } from "../result/explanation.ts";
import { drawOverlay } from "../result/overlay.ts";
import { findRegions } from "../result/regions.ts";
import { imageScore, verdictOf } from "../result/score.ts";
import { english } from "../wording/en.ts";
import type { TileRunner } from "./batcher.ts";
import { type CopiesOf, localise } from "./localise.ts";
import type { AnalyseCommand, JobStage, Pictures, PixelFinding, PixelOutput } from "./protocol.ts";

export interface Served {
  readonly manifest: ReleaseManifest;
  readonly batcher: TileRunner;
  /** null where the release has no interpretation model. */
  readonly interpreter: Interpreter | null;
  readonly maxPixels: number;
  /** Certificates whose signatures on Content Credentials are trusted, as PEM. */
  readonly trustAnchors: string | null;
}

export interface Analysed {
  readonly finding: PixelFinding;
  readonly files: Partial<Record<PixelOutput, Uint8Array>>;
  readonly pictures: Pictures;
}

/**
 * Analyses one file.
 *
 * @throws Problem where the file is at fault, the signal's reason where the job is withdrawn.
 */
export async function analyse(
  job: Pick<AnalyseCommand, "bytes" | "sha256" | "outputs" | "pictures" | "options">,
  { manifest, batcher, interpreter, maxPixels, trustAnchors }: Served,
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
  const degraded: PixelFinding["degraded_checks"] = [];
  let copies: FoundCopies | null | undefined;
  const copiesOf: CopiesOf = async (probabilities) => {
    const { name } = domainOf(probabilities);
    if (showsText(name)) return null;
    const searched = await searchCopies(image, name, signal);
    degraded.push(...searched.degraded_checks);
    copies = searched.copies;
    return copies && believedCopies(copies, name);
  };
  const watch = { signal, progress: (done: number) => onStage("inference", done) };
  const localisation = await stage("inference", () => localise(image, manifest.pipeline, batcher, watch, copiesOf));
  const threshold = job.options.threshold ?? manifest.thresholds.pixel;
  const map = await displayed(localisation.map, image);
  const domain = domainOf(localisation.domain);
  const { modality } = localisation;
  const found = findRegions(map, threshold, manifest.thresholds.region_area_fraction);
  const usual = manifest.thresholds.pixel;
  const { examined, traces } = await stage("evidence", async () => {
    const { bytes, options } = job;
    const reads = options.interpretation !== "none";
    const about = { regions: found, modality, domain: domain.name, copies, wanted: options.evidence, reads };
    const examined = await examine({ bytes, image, trustAnchors, ...about }, signal);
    degraded.push(...examined.degraded_checks);
    if (options.evidence && threshold === usual) return { examined, traces: examined.traces };
    // The score is the same whatever threshold and whether or not evidence is asked for.
    const regions = threshold === usual ? found : findRegions(map, usual, manifest.thresholds.region_area_fraction);
    const { copied, recompressed } = manifest.score;
    const weighed = { copied: copied !== undefined, recompressed: recompressed !== undefined };
    const { traces, degraded_checks } = await findTraces(
      { image, regions, domain: domain.name, copies },
      weighed,
      signal,
    );
    if (!options.evidence) degraded.push(...degraded_checks);
    return { examined, traces };
  });
  const score = imageScore(manifest.score, {
    map,
    networkScores: localisation.networkScores,
    viewScore: localisation.viewScore,
    pixelThreshold: usual,
    traces,
  });
  const read = found.map((region) => withText(region, examined.texts.get(region.id)));
  const regions = await stage("interpretation", async () => {
    if (job.options.interpretation === "none" || read.length === 0) return read;
    if (interpreter === null || manifest.interpretation === undefined) {
      degraded.push({
        check: "interpretation",
        reason: english.shortcoming({ part: "interpretation", reason: "no_model" }),
      });
      return read;
    }
    try {
      const copies = new Set(examined.links.map(({ region }) => region));
      const located = { image, map: localisation.map, threshold, domain: localisation.domain, score, copied: copies };
      const findings = new Findings(signal);
      const readText = (regions: readonly Region[]) => readRegions(image, regions, signal, findings);
      const means = { manifest: manifest.interpretation, interpreter, wording: english, readText };
      const interpreted = await interpretRegions(read, located, means);
      degraded.push(...findings.degraded);
      return interpreted;
    } catch (error) {
      signal.throwIfAborted();
      const reason = english.shortcoming({ part: "interpretation", reason: "failed", error: messageOf(error) });
      degraded.push({ check: "interpretation", reason, retryable: true });
      return read;
    }
  });
  let overlayDrawn: Promise<Buffer> | null = null;
  return stage("encode", async () => {
    const files: Partial<Record<PixelOutput, Uint8Array>> = {};
    const overlay = () => {
      overlayDrawn ??= drawOverlay({
        stored: image,
        orientation: image.orientation,
        map,
        regions,
        links: examined.links,
      });
      return overlayDrawn;
    };
    for (const output of job.outputs) {
      signal.throwIfAborted();
      if (output === "probability") files.probability = await encodeGrey(map);
      else if (output === "mask") files.mask = await encodeGrey(maskOf(map, threshold));
      else files.overlay = await overlay();
    }
    /** Without them a report or a description is missing, and nothing else. */
    const unlessFailing = <Made>(check: string, made: Promise<Made>) =>
      made.catch((error: unknown) => {
        const reason = english.shortcoming({ part: "pictures", reason: "failed", error: messageOf(error) });
        degraded.push({ check, reason, retryable: true });
        return null;
      });
    const { orientation } = image;
    const pictures: Pictures = {
      report: job.pictures.report
        ? await unlessFailing("report", reportPictures(image, orientation, map, await overlay(), regions))
        : null,
      prompt: job.pictures.prompt ? await unlessFailing("vlm", promptPictures(image, orientation, map, regions)) : null,
    };
    const judged = {
      image: factsOf(image, job),
      verdict: verdictOf(score, manifest.thresholds, examined.input_quality),
      score,
      domain,
      modality,
      regions,
      input_quality: examined.input_quality,
      evidence: examined.evidence,
    };
    return {
      files,
      pictures,
      finding: {
        ...judged,
        threshold,
        explanation: job.options.interpretation === "none" ? "" : explain(judged),
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

/** @param probabilities in the order of `domains` */
function domainOf(probabilities: readonly number[]): PixelFinding["domain"] {
  const confidence = Math.max(...probabilities);
  return { name: domains[probabilities.indexOf(confidence)] ?? "natural", confidence: Math.min(1, confidence) };
}
