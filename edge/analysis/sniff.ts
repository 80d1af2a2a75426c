/** What a file is by its first bytes, whatever its name or declared type says. */

export type ImageType = "image/jpeg" | "image/png" | "image/webp" | "image/tiff" | "image/avif" | "image/heic";

/** Brands of ISO base media files (ISO/IEC 23008-12): HEVC-coded images are HEIC, AV1-coded ones AVIF. */
const heicBrands = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx"]);
const avifBrands = new Set(["avif", "avis"]);

function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/** The type of a supported image, or `null`. */
export function sniffImage(bytes: Uint8Array): ImageType | null {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "image/jpeg";
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "image/png";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return "image/webp";
  const tiff = text(bytes, 0, 4);
  // 42 is TIFF, 43 BigTIFF, in both byte orders.
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(tiff)) return "image/tiff";
  if (text(bytes, 4, 8) === "ftyp") return sniffBrands(bytes);
  return null;
}

/** The major brand may be the general `mif1`; then the compatible brands tell. */
function sniffBrands(bytes: Uint8Array): ImageType | null {
  const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const end = Math.min(size, bytes.length, 256);
  for (let at = 8; at + 4 <= end; at += at === 8 ? 8 : 4) {
    const brand = text(bytes, at, at + 4);
    if (avifBrands.has(brand)) return "image/avif";
    if (heicBrands.has(brand)) return "image/heic";
  }
  return null;
}

/** A word for what was sent instead, for the refusal. */
export function nameOther(bytes: Uint8Array): string {
  if (text(bytes, 0, 5) === "%PDF-") return "a PDF";
  if (text(bytes, 0, 4) === "GIF8") return "a GIF";
  if (text(bytes, 0, 2) === "BM") return "a BMP";
  if (text(bytes, 0, 2) === "PK") return "a ZIP archive or office document";
  if (text(bytes, 4, 8) === "ftyp") return "a video or another ISO media file";
  const start = bytes.subarray(0, 512);
  const isText = start.every((byte) => byte >= 0x20 || byte === 9 || byte === 10 || byte === 13);
  return isText ? "text" : "of an unknown type";
}
