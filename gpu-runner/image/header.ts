/**
 * Dimensions from the header, read in plain TypeScript: the HTTP process must know how many pixels a file claims before
 * any decoder touches it, and a decoder that crashes must not take that process with it.
 */
import { Problem } from "@omni-iml/shared/problems";
import { type ImageFormat, sniffFormat } from "./format.ts";
import { type JpegStructure, readJpegStructure } from "./jpeg.ts";

export interface ImageHeader {
  readonly format: ImageFormat;
  /** As stored, before any orientation tag; what the file claims, not yet what it holds. */
  readonly width: number;
  readonly height: number;
  /** Frames of an animation as far as the header tells; at least 1. */
  readonly frames: number;
  readonly jpeg: JpegStructure | null;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function pngSize(view: DataView): Size {
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

function webpSize(view: DataView): Size {
  const kind = view.getUint32(12);
  // "VP8X": extended, 24-bit canvas less one.
  if (kind === 0x56503858) {
    return { width: 1 + (view.getUint32(24, true) & 0xffffff), height: 1 + (view.getUint32(26, true) >>> 8) };
  }
  // "VP8L": lossless, 14 bits each less one, after a signature byte.
  if (kind === 0x5650384c) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  // "VP8 ": lossy, 14 bits each after the frame tag and start code.
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

/** Frames of an animated PNG: its `acTL` chunk stands before the first `IDAT`. */
function pngFrames(view: DataView): number {
  for (let at = 8; at + 12 <= view.byteLength; at += 12 + view.getUint32(at)) {
    const type = view.getUint32(at + 4);
    if (type === 0x6163544c) return Math.max(1, view.getUint32(at + 8));
    if (type === 0x49444154) break;
  }
  return 1;
}

/** The first directory's size, of TIFF and BigTIFF. */
function tiffSize(view: DataView): Size {
  const little = view.getUint8(0) === 0x49;
  const big = view.getUint16(2, little) === 43;
  const number64 = (at: number) => Number(view.getBigUint64(at, little));
  const directory = big ? number64(8) : view.getUint32(4, little);
  const entries = big ? number64(directory) : view.getUint16(directory, little);
  const entrySize = big ? 20 : 12;
  let width = 0;
  let height = 0;
  for (let i = 0; i < entries; i++) {
    const at = directory + (big ? 8 : 2) + i * entrySize;
    const tag = view.getUint16(at, little);
    if (tag === 50706) {
      throw new Problem("unsupported_media_type", "This is a camera raw file (DNG); send the JPEG the camera made.");
    }
    if (tag !== 256 && tag !== 257) continue;
    const type = view.getUint16(at + 2, little);
    const valueAt = at + (big ? 12 : 8);
    const value =
      type === 3 ? view.getUint16(valueAt, little) : type === 16 ? number64(valueAt) : view.getUint32(valueAt, little);
    if (tag === 256) width = value;
    else height = value;
  }
  return { width, height };
}

/** Boxes of an ISO base media file between two positions: type and where the content lies. */
function* boxes(view: DataView, from: number, to: number): Generator<{ type: string; start: number; end: number }> {
  for (let at = from; at + 8 <= to; ) {
    let size = view.getUint32(at);
    let start = at + 8;
    if (size === 1) {
      size = Number(view.getBigUint64(at + 8));
      start = at + 16;
    }
    const end = size === 0 ? to : at + size;
    if (end <= at || end > to) return;
    const type = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at + 4, 4));
    yield { type, start, end };
    at = end;
  }
}

/** The largest image of an AVIF or HEIC: `ispe` boxes under meta/iprp/ipco name the size of every item, grids included. */
function heifSize(view: DataView): Size {
  let largest: Size = { width: 0, height: 0 };
  for (const meta of boxes(view, 0, view.byteLength)) {
    if (meta.type !== "meta") continue;
    for (const properties of boxes(view, meta.start + 4, meta.end)) {
      if (properties.type !== "iprp") continue;
      for (const container of boxes(view, properties.start, properties.end)) {
        if (container.type !== "ipco") continue;
        for (const property of boxes(view, container.start, container.end)) {
          if (property.type !== "ispe") continue;
          const size = { width: view.getUint32(property.start + 4), height: view.getUint32(property.start + 8) };
          if (size.width * size.height > largest.width * largest.height) largest = size;
        }
      }
    }
  }
  return largest;
}

/**
 * Format and claimed size of a file.
 *
 * @throws Problem `unsupported_media_type` or `image_corrupt`.
 */
export function readHeader(bytes: Uint8Array): ImageHeader {
  const format = sniffFormat(bytes);
  if (format === "jpeg") {
    const jpeg = readJpegStructure(bytes);
    return requireSize({ format, width: jpeg.width, height: jpeg.height, frames: 1, jpeg });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizeOf = { png: pngSize, webp: webpSize, tiff: tiffSize, avif: heifSize, heic: heifSize }[format];
  try {
    return requireSize({ format, ...sizeOf(view), frames: format === "png" ? pngFrames(view) : 1, jpeg: null });
  } catch (error) {
    if (error instanceof RangeError)
      throw new Problem("image_corrupt", "The file's header is cut off.", { cause: error });
    throw error;
  }
}

function requireSize(header: ImageHeader): ImageHeader {
  if (header.width < 1 || header.height < 1) throw new Problem("image_corrupt", "The file names no image size.");
  // BigTIFF counts in 64 bits, of which a number holds 53: beyond them even the refusal would name a wrong size.
  if (!Number.isSafeInteger(header.width) || !Number.isSafeInteger(header.height)) {
    throw new Problem("image_corrupt", "The file names an image size that no image can have.");
  }
  return header;
}

/** Pixels of the shorter side below which there is nothing to analyse: two of the network's largest strides. */
export const minimumSide = 64;

/**
 * Refuses what the header alone rules out: too small to analyse, or more pixels than `maxPixels`.
 *
 * @throws Problem `image_too_small` or `image_too_many_pixels`.
 */
export function refuseUnanalysable({ width, height }: Size, maxPixels: number): void {
  if (Math.min(width, height) < minimumSide) {
    throw new Problem(
      "image_too_small",
      `The image is ${width}×${height} pixels; its shorter side must have ${minimumSide}.`,
    );
  }
  if (width * height > maxPixels) {
    const megapixels = (count: number) => `${(count / 1e6).toFixed(1)} megapixels`;
    throw new Problem(
      "image_too_many_pixels",
      `The image is ${width}×${height}, ${megapixels(width * height)}; the limit is ${megapixels(maxPixels)}.`,
    );
  }
}
