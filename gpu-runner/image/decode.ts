/**
 * From a file to what the model takes: RGB of the stored grid, the luma quantization table, whether it is a JPEG.
 *
 * Nothing here may disturb the 8×8 lattice of a JPEG: the embedded colour profile is ignored (applying it moves DCT
 * coefficients), the orientation tag is not applied, nothing is shrunk on load. Training decodes in the same way.
 */
import { Problem } from "@omni-iml/shared/problems";
import sharp, { type Metadata, type Sharp, type SharpOptions } from "sharp";
import { type ImageHeader, readHeader, refuseUnanalysable } from "./header.ts";
import { decodeHeic } from "./heic.ts";
import { type Orientation, parseOrientation } from "./orientation.ts";

export interface DecodedImage {
  readonly header: ImageHeader;
  /** RGB, 8 bits, row by row, as stored. */
  readonly pixels: Buffer;
  readonly width: number;
  readonly height: number;
  /** Luma table in natural order; ones where the frequency traces are not those of one YCbCr JPEG. */
  readonly qtable: Int32Array;
  readonly jpeg: boolean;
  readonly orientation: Orientation;
  /** Images in the file, of which this is the first. */
  readonly frames: number;
  readonly metadata: MetadataBlocks;
}

/** What a file says about itself, each block as it stands in the file. */
export interface MetadataBlocks {
  /** A TIFF structure, with or without "Exif" before it. */
  readonly exif: Buffer | null;
  readonly xmp: Buffer | null;
  /** IPTC, as records or within Photoshop's image resources. */
  readonly iptc: Buffer | null;
  /** Texts of a PNG. */
  readonly comments: readonly { readonly keyword: string; readonly text: string }[];
}

export const noTable: Int32Array = new Int32Array(64).fill(1);

/**
 * Decodes a file.
 *
 * @throws Problem `unsupported_media_type`, `image_corrupt`, `image_too_small` or `image_too_many_pixels`.
 */
export async function decodeImage(bytes: Uint8Array, maxPixels: number): Promise<DecodedImage> {
  const header = readHeader(bytes);
  refuseUnanalysable(header, maxPixels);
  const source = header.format === "heic" ? await openHeic(bytes, maxPixels) : await open(bytes, header, maxPixels);
  const { data, info } = await decoding(() => toRgb(source.image).toBuffer({ resolveWithObject: true }));
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
  const jpeg = header.jpeg;
  // In CMYK and RGB JPEGs the first component is not luma: its table says nothing about luma coefficients.
  const lattice = jpeg !== null && (jpeg.colour === "ycbcr" || jpeg.colour === "grey");
  refuseUnanalysable(info, maxPixels);
  return {
    header,
    pixels: data,
    width: info.width,
    height: info.height,
    qtable: lattice ? jpeg.firstTable : noTable,
    jpeg: lattice,
    orientation: source.orientation,
    frames: source.frames,
    metadata: source.metadata,
  };
}

interface Source {
  readonly image: Sharp;
  readonly orientation: Orientation;
  readonly frames: number;
  readonly metadata: MetadataBlocks;
}

function blocksOf(found: Metadata | null): MetadataBlocks {
  const { exif = null, xmp = null, iptc = null, comments = [] } = found ?? {};
  return { exif, xmp, iptc, comments };
}

async function open(bytes: Uint8Array, header: ImageHeader, maxPixels: number): Promise<Source> {
  const options: SharpOptions = {
    ignoreIcc: true,
    autoOrient: false,
    limitInputPixels: maxPixels,
    // A missing end is a corrupt file; decoder warnings such as stray bytes between markers are everyday photographs.
    // Of a TIFF's missing strips libvips speaks as an error of another kind, and leaves them black.
    failOn: header.format === "tiff" ? "error" : "truncated",
    sequentialRead: true,
  };
  const metadata = await decoding(() => sharp(bytes, options).metadata());
  return {
    image: sharp(bytes, options),
    // libheif has already turned an AVIF; a tag that is left over must not turn it again.
    orientation: header.format === "avif" ? 1 : parseOrientation(metadata.orientation),
    frames: Math.max(metadata.pages ?? 1, header.frames),
    metadata: blocksOf(metadata),
  };
}

async function openHeic(bytes: Uint8Array, maxPixels: number): Promise<Source> {
  const { rgba, width, height, frames } = await decodeHeic(bytes, maxPixels);
  const raw = { width, height, channels: 4 } as const;
  // sharp reads HEIC's metadata though not its pixels; where it cannot, the picture is still the picture.
  const metadata = await sharp(bytes)
    .metadata()
    .catch(() => null);
  return {
    image: sharp(rgba, { raw, limitInputPixels: false }),
    orientation: 1,
    frames,
    metadata: blocksOf(metadata),
  };
}

/** 8-bit RGB: grey replicated, 16 bits reduced to their upper 8, CMYK converted, transparency composed on white. */
function toRgb(image: Sharp): Sharp {
  return image.flatten({ background: "#ffffff" }).toColourspace("srgb").removeAlpha().raw({ depth: "uchar" });
}

/** Runs a decoder and words its failure. */
async function decoding<Result>(decode: () => Promise<Result>): Promise<Result> {
  try {
    return await decode();
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split("\n")[0] : String(error);
    throw new Problem("image_corrupt", `The image cannot be decoded: ${reason}.`, { cause: error });
  }
}
