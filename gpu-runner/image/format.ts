/** What kind of file the bytes are, told by the bytes alone: a name or content type is the sender's opinion. */
import { Problem } from "@omni-iml/shared/problems";

export type ImageFormat = "jpeg" | "png" | "webp" | "tiff" | "avif" | "heic";

const formatNames: Readonly<Record<ImageFormat, string>> = {
  jpeg: "JPEG",
  png: "PNG",
  webp: "WebP",
  tiff: "TIFF",
  avif: "AVIF",
  heic: "HEIC",
};

export function formatName(format: ImageFormat): string {
  return formatNames[format];
}

/** Formats we know but do not read, and what to do about them. */
const refused: readonly { readonly starts: string; readonly at?: number; readonly advice: string }[] = [
  { starts: "%PDF-", advice: "This is a PDF; render its pages to PNG at 200 dpi or more and send those." },
  { starts: "GIF8", advice: "This is a GIF, whose 256 colours keep no traces to analyse; send the original image." },
  { starts: "BM", advice: "This is a BMP; convert it to PNG, which loses nothing." },
  { starts: "8BPS", advice: "This is a Photoshop document; export it as PNG or TIFF." },
  { starts: "\xff\x0a", advice: "This is a JPEG XL; convert it to PNG, which loses nothing." },
  { starts: "JXL ", at: 4, advice: "This is a JPEG XL; convert it to PNG, which loses nothing." },
  { starts: "jP  ", at: 4, advice: "This is a JPEG 2000; convert it to PNG, which loses nothing." },
  { starts: "CR\x02\x00", at: 8, advice: "This is a camera raw file; send the JPEG that the camera made." },
  { starts: "<svg", advice: "This is an SVG drawing, which has no pixels to analyse." },
];

function textAt(bytes: Uint8Array, start: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(start, start + length));
}

/** Brands of an ISO base media file: the major one, then the compatible ones. */
function brandsOf(bytes: Uint8Array): string[] {
  const size = Math.min(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0), bytes.length, 256);
  const brands = [textAt(bytes, 8, 4)];
  for (let at = 16; at + 4 <= size; at += 4) brands.push(textAt(bytes, at, 4));
  return brands;
}

/**
 * The format of a file.
 *
 * @throws Problem `unsupported_media_type`, which says what to convert, or `image_corrupt` where there are no bytes.
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.length < 16) throw new Problem("image_corrupt", `A file of ${bytes.length} bytes holds no image.`);
  if (textAt(bytes, 0, 3) === "\xff\xd8\xff") return "jpeg";
  if (textAt(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (textAt(bytes, 0, 4) === "RIFF" && textAt(bytes, 8, 4) === "WEBP") return "webp";
  for (const { starts, at = 0, advice } of refused) {
    if (textAt(bytes, at, starts.length) === starts) throw new Problem("unsupported_media_type", advice);
  }
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(textAt(bytes, 0, 4))) return "tiff";
  if (textAt(bytes, 4, 4) === "ftyp") {
    const brands = brandsOf(bytes);
    if (brands.some((brand) => brand === "avif" || brand === "avis")) return "avif";
    if (brands.some((brand) => /^(hei[cxms]|hev[cxms])$/.test(brand))) return "heic";
    throw new Problem(
      "unsupported_media_type",
      `This is a media file of brand “${brands[0]}”, not a still image that can be read; export a JPEG or PNG.`,
    );
  }
  throw new Problem("unsupported_media_type", "The bytes do not begin as any supported image format does.");
}
