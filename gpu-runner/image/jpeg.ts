/**
 * What a JPEG says about itself before its first scan: frame, quantization tables, colour model.
 *
 * Reads markers only (ITU-T T.81, annex B); no entropy-coded data is touched.
 */
import { Problem } from "@omni-iml/shared/problems";

interface FrameComponent {
  readonly id: number;
  readonly horizontal: number;
  readonly vertical: number;
  readonly table: number;
}

export interface JpegStructure {
  readonly width: number;
  readonly height: number;
  /** Bits per sample. */
  readonly precision: number;
  readonly progressive: boolean;
  readonly colour: "grey" | "ycbcr" | "rgb" | "cmyk";
  /** Such as "4:2:0"; null where the sampling factors have no such name. */
  readonly subsampling: string | null;
  /** Table of the frame's first component, 64 values in natural (row by row) order. */
  readonly firstTable: Int32Array;
  /** The table of the second component, where there is one. */
  readonly secondTable: Int32Array | null;
  /** The libjpeg quality whose table this is; null where none is. */
  readonly quality: number | null;
}

/** Natural position of the k-th coefficient in zigzag order (T.81, figure A.6). */
const naturalOrder = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
];

/** The luminance table of T.81, table K.1, which libjpeg scales to a quality. Natural order. */
const standardLuminance = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];

/** libjpeg's luminance table of a quality (1 to 100), in natural order. */
export function libjpegTable(quality: number): Int32Array {
  // jpeg_quality_scaling and jpeg_add_quant_table of libjpeg, with force_baseline.
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return Int32Array.from(standardLuminance, (value) =>
    Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100))),
  );
}

/** The libjpeg quality (1 to 100) that gives exactly this luminance table, or null. */
export function libjpegQuality(table: Int32Array): number | null {
  for (let quality = 100; quality >= 1; quality--) {
    if (libjpegTable(quality).every((value, i) => table[i] === value)) return quality;
  }
  return null;
}

/** The libjpeg quality whose luminance table is nearest to this one, by the ratio of its steps. */
export function nearestQuality(table: Int32Array): number {
  let best = { quality: 100, distance: Number.POSITIVE_INFINITY };
  for (let quality = 100; quality >= 1; quality--) {
    const distance = libjpegTable(quality).reduce(
      (sum, value, i) => sum + Math.abs(Math.log(value / Math.max(1, table[i] ?? 1))),
      0,
    );
    if (distance < best.distance) best = { quality, distance };
  }
  return best.quality;
}

function colourModel(components: readonly FrameComponent[], jfif: boolean, adobeTransform: number | null) {
  if (components.length === 1) return "grey";
  if (components.length === 4) return "cmyk";
  // The order in which libjpeg decides (jdapimin.c, default_decompress_parms).
  if (jfif) return "ycbcr";
  if (adobeTransform !== null) return adobeTransform === 0 ? "rgb" : "ycbcr";
  return String.fromCharCode(...components.map((component) => component.id)) === "RGB" ? "rgb" : "ycbcr";
}

const subsamplingNames: Readonly<Record<string, string>> = {
  "1x1": "4:4:4",
  "2x1": "4:2:2",
  "2x2": "4:2:0",
  "1x2": "4:4:0",
  "4x1": "4:1:1",
  "4x2": "4:1:0",
};

function subsamplingName(components: readonly FrameComponent[]): string | null {
  const [first, ...others] = components;
  if (first === undefined) return null;
  if (others.length === 0) return "4:0:0";
  const chroma = others[0];
  if (chroma === undefined) return null;
  if (others.slice(0, 2).some((c) => c.horizontal !== chroma.horizontal || c.vertical !== chroma.vertical)) return null;
  return subsamplingNames[`${first.horizontal / chroma.horizontal}x${first.vertical / chroma.vertical}`] ?? null;
}

/**
 * Reads a JPEG up to its first scan.
 *
 * @throws Problem `image_corrupt` where the file ends or contradicts itself before that.
 */
export function readJpegStructure(bytes: Uint8Array): JpegStructure {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Where the last definition of each table lies. Read at the end: a file may define thousands to keep its reader busy.
  const tables = new Map<number, { at: number; wide: boolean }>();
  let frame: { width: number; height: number; precision: number; progressive: boolean } | null = null;
  let components: FrameComponent[] = [];
  let jfif = false;
  let adobeTransform: number | null = null;
  let at = 2;
  try {
    for (;;) {
      // Any number of fill bytes may stand before a marker, and libjpeg skips other bytes as well.
      const marked = bytes.indexOf(0xff, at);
      at = marked < 0 ? bytes.length : marked;
      while (view.getUint8(at) === 0xff) at++;
      const marker = view.getUint8(at++);
      if (marker === 0x00 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
      if (marker === 0xd9) throw new Problem("image_corrupt", "The JPEG ends before its first scan.");
      const length = view.getUint16(at);
      if (at + length > bytes.length) throw new RangeError("a segment is cut off");
      const segment = new DataView(view.buffer, view.byteOffset + at + 2, length - 2);
      if (marker === 0xda) break;
      if (marker === 0xdb) {
        for (let i = 0; i < segment.byteLength; ) {
          const wide = segment.getUint8(i) >> 4 !== 0;
          const slot = segment.getUint8(i) & 15;
          if (i + 1 + (wide ? 128 : 64) > segment.byteLength) throw new RangeError("a table is cut off");
          tables.set(slot, { at: at + 2 + i + 1, wide });
          i += 1 + (wide ? 128 : 64);
        }
      } else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
        frame = {
          precision: segment.getUint8(0),
          height: segment.getUint16(1),
          width: segment.getUint16(3),
          progressive: (marker & 3) === 2,
        };
        components = Array.from({ length: segment.getUint8(5) }, (_, i) => ({
          id: segment.getUint8(6 + 3 * i),
          horizontal: segment.getUint8(7 + 3 * i) >> 4,
          vertical: segment.getUint8(7 + 3 * i) & 15,
          table: segment.getUint8(8 + 3 * i),
        }));
      } else if (marker === 0xe0 && length >= 7 && segment.getUint32(0) === 0x4a464946) {
        jfif = true;
      } else if (marker === 0xee && length >= 14 && segment.getUint32(0) === 0x41646f62) {
        adobeTransform = segment.getUint8(11);
      }
      at += length;
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new Problem("image_corrupt", "The JPEG's header is cut off.", { cause: error });
    throw error;
  }
  const tableOf = (component: FrameComponent | undefined): Int32Array | undefined => {
    const defined = tables.get(component?.table ?? -1);
    if (defined === undefined) return undefined;
    const table = new Int32Array(64);
    for (const [k, position] of naturalOrder.entries()) {
      table[position] = defined.wide ? view.getUint16(defined.at + 2 * k) : view.getUint8(defined.at + k);
    }
    return table;
  };
  const firstTable = tableOf(components[0]);
  if (frame === null || firstTable === undefined) {
    throw new Problem("image_corrupt", "The JPEG names no frame or no quantization table before its first scan.");
  }
  return {
    ...frame,
    colour: colourModel(components, jfif, adobeTransform),
    subsampling: subsamplingName(components),
    firstTable,
    secondTable: tableOf(components[1]) ?? null,
    quality: libjpegQuality(firstTable),
  };
}
