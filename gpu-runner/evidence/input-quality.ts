/** What an input is too poor for, measured. */
import type { Finding } from "@omni-iml/shared/analysis";
import { type JpegStructure, nearestQuality } from "../image/jpeg.ts";
import { caveatWords } from "../wording/en-checks.ts";
import { type Caveat, type CaveatCode, type CaveatFacts, undecidable } from "./codes.ts";
import type { Metadata } from "./metadata/read.ts";
import { wasResampled } from "./resampling/judge.ts";
import { factorsOf } from "./resampling/periods.ts";
import type { Sampling } from "./thread.ts";

/** A shorter side below this leaves few blocks to compare with each other; below the second, none to speak of. */
const smallSide = 256;
const tooSmallSide = 128;
/** libjpeg quality below which quantization wipes out most traces of earlier edits; below the second, all. */
const heavyCompression = 60;
const extremeCompression = 35;
/** Fraction of the frequencies that the pixels could hold below which an image has been enlarged, or is out of focus. */
const narrowBand = 0.42;
/** Isolated lines of the spectrum from which a raster shows through: a screen's, or a print's. */
const rasterPeaks = 6;
const rasterStrength = 4.5;
/** Neighbouring pixels that are exactly alike: drawn surfaces. Photographs have a few per cent. */
const drawn = 0.35;

/** Screens of common computers, tablets and telephones, longer side first. */
const screens = new Set(
  "1280x720 1366x768 1440x900 1536x864 1600x900 1680x1050 1920x1080 1920x1200 2560x1440 2560x1600 2880x1800 3024x1964 3456x2234 3840x2160 2048x1536 2224x1668 2388x1668 2732x2048 1334x750 1792x828 2340x1080 2400x1080 2436x1125 2532x1170 2556x1179 2622x1206 2688x1242 2778x1284 2796x1290 2868x1320 3120x1440 3200x1440".split(
    " ",
  ),
);
/** Longer sides to which messengers and social networks resize. */
const sharedSides = new Set([960, 1280, 1600, 2048]);

export interface QualityInput {
  readonly facts: Pick<Finding["image"], "format" | "width" | "height" | "frames">;
  readonly jpeg: Pick<JpegStructure, "quality" | "firstTable"> | null;
  readonly metadata: Pick<Metadata, "camera" | "screenshot"> | null;
  readonly sampling: Sampling | null;
  /** Whether the picture is one of text. */
  readonly printed: boolean;
}

/** The weightiest first: the explanation names that one. */
export function caveatsOf({ facts, jpeg, metadata, sampling, printed }: QualityInput): Caveat[] {
  const caveats: Caveat[] = [];
  const add = <Code extends CaveatCode>(code: Code, about: CaveatFacts[Code]) => {
    caveats.push({ code, summary: caveatWords[code](about) });
  };
  const longer = Math.max(facts.width, facts.height);
  const shorter = Math.min(facts.width, facts.height);
  if (shorter < tooSmallSide) add("too_small", { shorter });
  else if (shorter < smallSide) add("small", { shorter });

  if (jpeg === null) add("not_jpeg", { format: facts.format });
  else {
    const quality = jpeg.quality ?? nearestQuality(jpeg.firstTable);
    if (quality < extremeCompression) add("extremely_compressed", { quality });
    else if (quality < heavyCompression) add("heavily_compressed", { quality });
  }

  if (sampling !== null) {
    const { raster, bandwidth } = sampling;
    if (raster !== null && raster.peaks >= rasterPeaks && raster.strength >= rasterStrength) {
      add("rephotographed", { peaks: raster.peaks, strength: round(raster.strength) });
    }
    const period = wasResampled(sampling.image, printed);
    if (bandwidth !== null && bandwidth < narrowBand) add("enlarged", { bandwidth: round(bandwidth) });
    else if (period !== null) add("resized", { factors: factorsOf(period.frequency) });
  }

  const flat = round(sampling?.flat ?? 0);
  const screenSized = screens.has(`${longer}x${shorter}`);
  if (metadata?.screenshot || (screenSized && facts.format !== "jpeg" && flat >= drawn)) {
    add("screenshot", { width: facts.width, height: facts.height, flat });
  } else if (screenSized && facts.format !== "jpeg") {
    add("screenshot_like", { width: facts.width, height: facts.height });
  } else if (facts.format === "jpeg" && sharedSides.has(longer) && !metadata?.camera) {
    add("possibly_resized", { longer });
  }
  if (facts.frames > 1) add("first_of_several", { frames: facts.frames });
  return caveats.toSorted((a, b) => Number(undecidable.has(b.code)) - Number(undecidable.has(a.code)));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
