/**
 * HEIC through libheif compiled to WebAssembly: sharp's own libheif comes without the HEVC decoder.
 *
 * libheif applies the file's rotation and mirroring itself, so what comes out is upright. HEIC has no JPEG lattice, so
 * nothing is lost by that.
 *
 * Decoding is called directly rather than through the package's `display`, which decodes in a timer: what a broken file
 * makes it throw there nobody can catch, and it ends the process.
 */
import { Problem } from "@omni-iml/shared/problems";
import loadLibheif, { type HeifDecoder, type HeifImage, type Libheif } from "libheif-js/libheif-wasm/libheif-bundle.js";

export interface HeicPixels {
  /** RGBA, 8 bits, row by row. */
  readonly rgba: Buffer;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
}

/** One decoder for the process: it frees the file it held when it is given the next, and decoding does not wait. */
let loaded: { libheif: Libheif; decoder: HeifDecoder } | null = null;

function load(): { libheif: Libheif; decoder: HeifDecoder } {
  const libheif = loadLibheif();
  return { libheif, decoder: new libheif.HeifDecoder() };
}

/**
 * The primary image of a HEIC file.
 *
 * @throws Problem `image_corrupt`, or `image_too_many_pixels` where the decoder finds more than the header claimed.
 */
export function decodeHeic(bytes: Uint8Array, maxPixels: number): HeicPixels {
  loaded ??= load();
  try {
    return decodeWith(loaded.libheif, loaded.decoder, bytes, maxPixels);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // In which state WebAssembly is that has thrown is not known: the next file gets a fresh one.
    loaded = null;
    throw new Problem("image_corrupt", "libheif cannot decode this HEIC file.", { cause: error });
  }
}

function decodeWith(libheif: Libheif, decoder: HeifDecoder, bytes: Uint8Array, maxPixels: number): HeicPixels {
  const images = decoder.decode(bytes);
  try {
    const image = images.find((candidate) => candidate.is_primary()) ?? images[0];
    if (image === undefined) throw new Problem("image_corrupt", "libheif finds no image in this HEIC file.");
    const width = image.get_width();
    const height = image.get_height();
    if (width * height > maxPixels) {
      throw new Problem("image_too_many_pixels", `The image is ${width}×${height}; the limit is ${maxPixels} pixels.`);
    }
    return { rgba: readRgba(libheif, image, width, height), width, height, frames: images.length };
  } finally {
    for (const image of images) image.free();
  }
}

function readRgba(libheif: Libheif, image: HeifImage, width: number, height: number): Buffer {
  const decoded = libheif.heif_js_decode_image2(
    image.handle,
    libheif.heif_colorspace.heif_colorspace_RGB,
    libheif.heif_chroma.heif_chroma_interleaved_RGBA,
  );
  if (!("channels" in decoded)) throw new Problem("image_corrupt", "libheif cannot decode this HEIC file.");
  try {
    const plane = decoded.channels.find(({ id }) => id === libheif.heif_channel.heif_channel_interleaved);
    // The size in the header and the one in the bitstream are two claims of one file.
    if (plane?.width !== width || plane.height !== height) {
      const found = plane === undefined ? "nothing" : `${plane.width}×${plane.height}`;
      throw new Problem("image_corrupt", `The HEIC file claims ${width}×${height} pixels and holds ${found}.`);
    }
    const rgba = Buffer.alloc(width * height * 4);
    for (let row = 0; row < height; row++) {
      rgba.set(plane.data.subarray(row * plane.stride, row * plane.stride + width * 4), row * width * 4);
    }
    return rgba;
  } finally {
    libheif.heif_image_release(decoded.image);
  }
}
