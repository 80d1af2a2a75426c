/** One image through the public API, and what its answer is worth. */
import { setTimeout } from "node:timers/promises";
import type { Analysis, OmniIml } from "@omni-iml/sdk";
import { messageOf } from "@omni-iml/shared/message-of";
import sharp from "sharp";
import { type ConditionName, levels, type Sent, underCondition } from "./conditions.ts";
import type { SetImage } from "./image-set.ts";
import { countLevels, fixedThreshold, type PixelMetrics, pixelMetrics } from "./pixel-metrics.ts";
import { shrunk } from "./sheets.ts";
import type { AnsweredImage } from "./summary.ts";

export interface Unanswered {
  image: string;
  reason: string;
}

const attempts = 3;

/** What the service said of one image, not yet compared with the truth. */
export interface Mapped extends Omit<AnsweredImage, "flagged" | "metrics" | "map"> {
  sent: Pick<Sent, "width" | "height">;
  probability: Uint8Array;
}

/** The answer to one image, or why there is none after some attempts: a run of an hour outlives a restarted worker. */
export async function mapped(client: OmniIml, image: SetImage, condition: ConditionName): Promise<Mapped | Unanswered> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await mappedOnce(client, image, condition);
    if ("probability" in outcome || attempt === attempts) return outcome;
    console.error(`again: ${outcome.image}: ${outcome.reason}`);
    await setTimeout(2000 * attempt);
  }
}

async function mappedOnce(client: OmniIml, image: SetImage, condition: ConditionName): Promise<Mapped | Unanswered> {
  try {
    const sent = await underCondition(image.path, condition);
    const start = performance.now();
    const analysis = await answer(client, image.name, sent);
    const seconds = (performance.now() - start) / 1000;
    const { score, verdict, modality } = analysis;
    if (analysis.status !== "succeeded" || score === null || verdict === null || modality === null) {
      return { image: image.name, reason: `${analysis.status}: ${analysis.error?.detail ?? "no reason given"}` };
    }
    return {
      image,
      score,
      verdict,
      modality,
      seconds,
      megapixels: (sent.width * sent.height) / 1e6,
      sent: { width: sent.width, height: sent.height },
      probability: await probabilityMap(analysis, sent),
    };
  } catch (error) {
    return { image: image.name, reason: messageOf(error) };
  }
}

/** An answer with its figures; with `keepMap` a small map stays in it, for the sheets. */
export async function measured({ sent, probability, ...answer }: Mapped, keepMap: boolean): Promise<AnsweredImage> {
  const figures = await mapFigures(probability, answer.image, sent);
  return { ...answer, ...figures, map: keepMap ? await shrunk(probability) : null };
}

async function answer(client: OmniIml, name: string, { bytes }: Sent): Promise<Analysis> {
  const analysis = await client.analyses.create({
    image: bytes,
    filename: name.replace(/^.*\//, ""),
    // What is measured is the localization: words and evidence cost time and change no map and no score.
    options: { outputs: ["probability"], interpretation: "none", evidence: false },
    wait: 60,
  });
  return analysis.ended_at === null ? client.analyses.wait(analysis.id, { timeout: 900 }) : analysis;
}

/** The PNG that the answer points to, of the size of what was sent. */
async function probabilityMap(analysis: Analysis, sent: Sent): Promise<Uint8Array> {
  const file = analysis.files.probability;
  if (!file) throw new Error("the answer has no probability map");
  const response = await fetch(file.url);
  if (!response.ok) throw new Error(`the address of the probability map answers ${response.status}`);
  const map = new Uint8Array(await response.arrayBuffer());
  const { width, height } = await sharp(map).metadata();
  if (width !== sent.width || height !== sent.height) {
    throw new Error(`the map has ${width} × ${height} pixels, the image ${sent.width} × ${sent.height}`);
  }
  return map;
}

/** The share of pixels called manipulated, and for a tampered image how well they fit its mask. */
async function mapFigures(
  map: Uint8Array,
  image: SetImage,
  { width, height }: Mapped["sent"],
): Promise<{ flagged: number; metrics: PixelMetrics | null }> {
  const probability = await levels(map, width, height);
  const flagged = probability.reduce((sum, level) => sum + (level >= fixedThreshold ? 1 : 0), 0) / probability.length;
  if (image.maskPath === null) return { flagged, metrics: null };
  return { flagged, metrics: pixelMetrics(countLevels(probability, await levels(image.maskPath, width, height))) };
}
