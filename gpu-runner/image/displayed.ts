/** The image as it is displayed: the stored grid turned as its orientation tag says, reduced where it is large. */
import sharp, { type Sharp } from "sharp";
import type { RgbImage } from "../inference/tiler.ts";
import { displayedSize, type Orientation, orient } from "./orientation.ts";

export function rgbPicture({ pixels, width, height }: RgbImage): Sharp {
  return sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false });
}

/** @param longest pixels of its longer side at most. */
export async function displayedImage(stored: RgbImage, orientation: Orientation, longest: number): Promise<RgbImage> {
  const scale = Math.min(1, longest / Math.max(stored.width, stored.height));
  const [width, height] = [stored.width, stored.height].map((side) => Math.max(1, Math.round(side * scale)));
  if (width === undefined || height === undefined) throw new Error("an image has two sides");
  const reduced = rgbPicture(stored).resize(width, height, { fit: "fill" });
  const pixels = await orient(reduced, orientation).raw().toBuffer();
  return { pixels, ...displayedSize(width, height, orientation) };
}
