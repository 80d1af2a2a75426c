/**
 * HEIC through libheif compiled to WebAssembly: sharp's own libheif comes without the HEVC decoder.
 *
 * libheif applies the file's rotation and mirroring itself, so what comes out is upright. HEIC has no JPEG lattice, so
 * nothing is lost by that.
 */
import { Problem } from "@omni-iml/shared/problems";
import libheif from "libheif-js/wasm-bundle.js";

export interface HeicPixels {
  /** RGBA, 8 bits, row by row. */
  readonly rgba: Buffer;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
}

// One decoder for the process: it frees the file it held when it is given the next, so decodings take turns.
const decoder = new libheif.HeifDecoder();
let turn: Promise<unknown> = Promise.resolve();

/**
 * The primary image of a HEIC file.
 *
 * @throws Problem `image_corrupt`, or `image_too_many_pixels` where the decoder finds more than the header claimed.
 */
export function decodeHeic(bytes: Uint8Array, maxPixels: number): Promise<HeicPixels> {
  const decoded = turn.then(() => decodeNext(bytes, maxPixels));
  turn = decoded.catch(() => undefined);
  return decoded;
}

async function decodeNext(bytes: Uint8Array, maxPixels: number): Promise<HeicPixels> {
  const images = decoder.decode(bytes);
  try {
    const image = images.find((candidate) => candidate.is_primary()) ?? images[0];
    if (image === undefined) throw new Problem("image_corrupt", "libheif finds no image in this HEIC file.");
    const width = image.get_width();
    const height = image.get_height();
    if (width * height > maxPixels) {
      throw new Problem("image_too_many_pixels", `The image is ${width}×${height}; the limit is ${maxPixels} pixels.`);
    }
    const data = new Uint8ClampedArray(width * height * 4);
    const shown = await new Promise((resolve) => image.display({ data, width, height }, resolve));
    if (shown === null) throw new Problem("image_corrupt", "libheif cannot decode this HEIC file.");
    return { rgba: Buffer.from(data.buffer), width, height, frames: images.length };
  } finally {
    for (const image of images) image.free();
  }
}
