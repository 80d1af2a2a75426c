/** The probability map and its mask as PNG files. */
import sharp, { type Sharp } from "sharp";

/** One value per pixel, 0 to 255, row by row. */
export interface GreyMap {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A map as sharp takes it, without a copy. */
export function greyImage({ data, width, height }: GreyMap): Sharp {
  return sharp(data, { raw: { width, height, channels: 1 }, limitInputPixels: false });
}

/** The map as an 8-bit greyscale PNG. */
export function encodeGrey(map: GreyMap): Promise<Buffer> {
  // Maps are smooth: beyond level 6 zlib takes several times as long for a few per cent.
  return greyImage(map).toColourspace("b-w").png({ compressionLevel: 6 }).toBuffer();
}

/** 255 where the probability (0 to 1) reaches `threshold`, else 0. */
export function maskOf({ data, width, height }: GreyMap, threshold: number): GreyMap {
  const least = Math.ceil(threshold * 255);
  const mask = new Uint8Array(data.length);
  for (let i = 0; i < mask.length; i++) mask[i] = (data[i] ?? 0) >= least ? 255 : 0;
  return { data: mask, width, height };
}
