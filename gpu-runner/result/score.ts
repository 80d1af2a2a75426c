/**
 * The image score: a logistic of features of the finished probability map and of the network's own score, and of whether
 * the checks besides it believe that a region was copied, or compressed apart from the rest: a score that does not know of
 * that evidence can contradict it.
 *
 * Every map feature is computed on the delivered 8-bit map, p = value / 255, so that Python finds the same from the same
 * file: quantiles are `numpy.quantile(p, q)` with its default linear interpolation. The closed set:
 *
 * - `q50`, `q90`, `q99`, `q999`: quantiles of p; `max`: its largest value
 * - `area`: fraction of pixels with p ≥ `thresholds.pixel` of the manifest, whatever threshold a request asks for
 * - `log_megapixels`: log10(width × height / 1e6)
 * - `network`: logit of the largest of the tiles' network scores; `network_mean`: logit of their mean; scores are
 *   clipped to [1e-6, 1 − 1e-6]
 * - `view`: logit of the network's score of the view of the whole image; `network` where the image has none
 */
import type { InputQuality } from "@omni-iml/shared/analysis";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import { undecidable } from "../evidence/codes.ts";
import type { RegionTraces } from "../evidence/evidence.ts";
import type { GreyMap } from "../image/encode.ts";

export interface ScoreInput {
  readonly map: GreyMap;
  /** Of the tiles. */
  readonly networkScores: readonly number[];
  /** Of the view of the whole image; null where the image is no larger than that. */
  readonly viewScore: number | null;
  /** `thresholds.pixel` of the manifest. */
  readonly pixelThreshold: number;
  /** Of the regions at that threshold. */
  readonly traces: RegionTraces;
}

/** Counts of the 256 values of a map: all that its features need. */
function histogramOf(map: GreyMap): Float64Array {
  const counts = new Float64Array(256);
  const { data } = map;
  for (let i = 0; i < data.length; i++) counts[data[i] ?? 0] = (counts[data[i] ?? 0] ?? 0) + 1;
  return counts;
}

/** The value at a rank (from 0) of the sorted map. */
function valueAtRank(histogram: Float64Array, rank: number): number {
  let below = 0;
  for (let value = 0; value < 256; value++) {
    below += histogram[value] ?? 0;
    if (rank < below) return value;
  }
  return 255;
}

function quantile(histogram: Float64Array, total: number, q: number): number {
  const position = (total - 1) * q;
  const lower = valueAtRank(histogram, Math.floor(position));
  const upper = valueAtRank(histogram, Math.min(Math.floor(position) + 1, total - 1));
  return (lower + (upper - lower) * (position - Math.floor(position))) / 255;
}

/** Fraction of the map that reaches `threshold` (0 to 1). */
function areaFrom(histogram: Float64Array, total: number, threshold: number): number {
  return histogram.slice(Math.ceil(threshold * 255)).reduce((sum, count) => sum + count, 0) / total;
}

function logit(probability: number): number {
  const clipped = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
  return Math.log(clipped / (1 - clipped));
}

type Feature = (histogram: Float64Array, total: number, input: ScoreInput) => number;

const network: Feature = (_, __, { networkScores }) => logit(Math.max(...networkScores));

const features: Readonly<Record<string, Feature>> = {
  q50: (histogram, total) => quantile(histogram, total, 0.5),
  q90: (histogram, total) => quantile(histogram, total, 0.9),
  q99: (histogram, total) => quantile(histogram, total, 0.99),
  q999: (histogram, total) => quantile(histogram, total, 0.999),
  max: (histogram) => histogram.findLastIndex((count) => count > 0) / 255,
  area: (histogram, total, { pixelThreshold }) => areaFrom(histogram, total, pixelThreshold),
  log_megapixels: (_, total) => Math.log10(total / 1e6),
  network,
  network_mean: (_, __, { networkScores }) =>
    logit(networkScores.reduce((sum, score) => sum + score, 0) / networkScores.length),
  view: (histogram, total, input) =>
    input.viewScore === null ? network(histogram, total, input) : logit(input.viewScore),
};

/** Feature names of a manifest that this runner cannot compute: it must not serve that release. */
export function unknownFeatures(score: ReleaseManifest["score"]): string[] {
  return score.features.filter((name) => !Object.hasOwn(features, name));
}

/** Probability that anything in the image was manipulated. */
export function imageScore(score: ReleaseManifest["score"], input: ScoreInput): number {
  const histogram = histogramOf(input.map);
  const total = input.map.data.length;
  const { copied, recompressed } = input.traces;
  let sum = score.bias + (copied ? (score.copied ?? 0) : 0) + (recompressed ? (score.recompressed ?? 0) : 0);
  score.features.forEach((name, i) => {
    const feature = features[name];
    if (feature === undefined) throw new Error(`the score has an unknown feature "${name}"`);
    sum += (score.weights[i] ?? 0) * feature(histogram, total, input);
  });
  return 1 / (1 + Math.exp(-sum));
}

export type Verdict = "tampered" | "no_tampering_detected" | "inconclusive";

/** @param caveats what is wrong with the input: of one that is too poor to tell, that nothing was found says nothing. */
export function verdictOf(
  score: number,
  thresholds: { tampered: number; clear: number },
  caveats: readonly InputQuality[],
): Verdict {
  if (score >= thresholds.tampered) return "tampered";
  if (caveats.some(({ code }) => undecidable.has(code))) return "inconclusive";
  return score <= thresholds.clear ? "no_tampering_detected" : "inconclusive";
}
