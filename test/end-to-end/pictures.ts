/** Images that no cache has seen before. */
import { randomBytes } from "node:crypto";
import sharp from "sharp";

export type Bytes = Uint8Array<ArrayBuffer>;

/** Soft coloured blotches under fine noise, different each time. */
export async function photograph(width: number, height: number): Promise<Bytes> {
  const blotches = sharp(randomBytes(12 * 9 * 3), { raw: { width: 12, height: 9, channels: 3 } });
  const soft = await blotches.resize(width, height, { kernel: "cubic", fit: "fill" }).raw().toBuffer();
  const noise = randomBytes(soft.length);
  for (const [i, level] of soft.entries()) soft[i] = Math.max(0, Math.min(255, level + ((noise[i] ?? 0) >> 4) - 8));
  const jpeg = sharp(soft, { raw: { width, height, channels: 3 } }).jpeg({ quality: 88 });
  return new Uint8Array(await jpeg.toBuffer());
}

/** The same JPEG with an EXIF orientation tag put in front; not a bit of the picture changes. */
export function turned(jpeg: Bytes, orientation: number): Bytes {
  const tiff = Buffer.from("4d4d002a00000008000101120003000000010000000000000000", "hex");
  tiff.writeUInt16BE(orientation, 18);
  const body = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const segment = Buffer.alloc(4);
  segment.writeUInt16BE(0xffe1, 0);
  segment.writeUInt16BE(2 + body.length, 2);
  return new Uint8Array(Buffer.concat([jpeg.subarray(0, 2), segment, body, jpeg.subarray(2)]));
}

/** The levels of a greyscale PNG, with its size. */
export async function greyLevels(png: Bytes) {
  const { data, info } = await sharp(png).toColourspace("b-w").raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, levels: new Uint8Array(data) };
}
