/** What a language model is shown of the regions: the image, and the reference visual prompt I_ref = (I + M) / 2. */
import type { Region } from "@omni-iml/shared/analysis";
import { displayedImage, rgbPicture } from "../image/displayed.ts";
import type { Orientation } from "../image/orientation.ts";
import type { RgbImage } from "../inference/tiler.ts";

/** Regions of one image that a language model describes, the largest first. */
export const mostDescribed = 6;

/** Pixels of the longer side, as in the data that models are fine-tuned on (model/interpretation/finetune.py). */
const longestSide = 1024;

export interface PromptPictures {
  /** PNG: the traces are in the pixels. */
  readonly image: Uint8Array;
  /** PNG, of the same size. */
  readonly reference: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** In pixels of the pictures, the ends exclusive. */
  readonly boxes: { id: string; left: number; top: number; right: number; bottom: number }[];
}

/** @param displayed the size in whose pixels the regions are given. */
export async function promptPictures(
  stored: RgbImage,
  orientation: Orientation,
  displayed: { readonly width: number; readonly height: number },
  regions: readonly Region[],
): Promise<PromptPictures> {
  const whole = await displayedImage(stored, orientation, longestSide);
  const { width, height } = whole;
  const shown = [...regions].sort((a, b) => b.area_fraction - a.area_fraction).slice(0, mostDescribed);
  const contours = shown.map(
    ({ polygon }) => `<polygon points="${polygon.map(([x, y]) => `${x},${y}`).join(" ")}" fill="#fff"/>`,
  );
  // White inside and black outside at half opacity, laid over the image, is (I + M) / 2.
  const mask = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" preserveAspectRatio="none" viewBox="0 0 ${displayed.width} ${displayed.height}"><g opacity=".5"><rect width="${displayed.width}" height="${displayed.height}"/>${contours.join("")}</g></svg>`;
  const [image, reference] = await Promise.all([
    rgbPicture(whole).png().toBuffer(),
    rgbPicture(whole)
      .composite([{ input: Buffer.from(mask) }])
      .removeAlpha()
      .png()
      .toBuffer(),
  ]);
  const across = (x: number) => Math.round((x * width) / displayed.width);
  const down = (y: number) => Math.round((y * height) / displayed.height);
  const boxes = shown.map(({ id, bbox: { x, y, width: w, height: h } }) => ({
    id,
    left: across(x),
    top: down(y),
    right: across(x + w),
    bottom: down(y + h),
  }));
  return { image, reference, width, height, boxes };
}
