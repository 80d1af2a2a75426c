/**
 * What EXIF, XMP and IPTC say about a file's life. All of it is text that anyone can write: nothing here is trusted, and
 * whatever cannot be read is told rather than thrown.
 */
import { messageOf } from "@omni-iml/shared/message-of";
import exifr from "exifr";
import { z } from "zod";
import type { MetadataBlocks } from "../../image/decode.ts";

/** A block of metadata larger than this is no description of a photograph. */
export const largestBlock = 4 * 1024 * 1024;

export interface Metadata {
  /** Maker and model. */
  readonly camera: string | null;
  /** What last wrote the file, by its own account. */
  readonly software: string | null;
  /** As written, "2026:11:23 17:50:00": EXIF dates have no time zone. */
  readonly taken: string | null;
  readonly modified: string | null;
  /** UTC, from GPS, "2026:11:23". */
  readonly gpsDate: string | null;
  /** Width and height that the camera recorded. */
  readonly recorded: readonly [number, number] | null;
  /** Programs of the editing history, in order, without repetition. */
  readonly programs: readonly string[];
  readonly actions: readonly string[];
  readonly derivedFrom: string | null;
  /** IPTC's digital source type, the last part of its address. */
  readonly sourceType: string | null;
  /** Where a manifest is that is not in the file. */
  readonly provenanceAddress: string | null;
  /** IPTC's special instructions, and other places where platforms leave marks. */
  readonly instructions: string | null;
  /** Photoshop's resources, by name, where there are any beyond IPTC itself. */
  readonly photoshop: readonly string[];
  readonly screenshot: boolean;
  /** The small JPEG that EXIF carries. */
  readonly thumbnail: Uint8Array | null;
  readonly any: boolean;
}

export interface ReadMetadata {
  readonly metadata: Metadata;
  readonly problems: readonly { readonly what: "EXIF" | "XMP" | "IPTC"; readonly error: string }[];
}

/** Text as the camera meant it: cut off at the first zero byte, and never longer than anyone would read. */
const text = z
  .string()
  .transform((value) => (value.split("\0")[0] ?? "").trim().slice(0, 200))
  .optional()
  .catch(undefined);
const whole = z.number().int().positive().optional().catch(undefined);

const tags = z.object({
  ifd0: z
    .object({ Make: text, Model: text, Software: text, ProcessingSoftware: text, ModifyDate: text })
    .partial()
    .optional()
    .catch(undefined),
  exif: z
    .object({ DateTimeOriginal: text, ExifImageWidth: whole, ExifImageHeight: whole, UserComment: text })
    .partial()
    .optional()
    .catch(undefined),
  gps: z.object({ GPSDateStamp: text }).partial().optional().catch(undefined),
});

const exifOptions = {
  tiff: true,
  ifd0: { pick: ["Make", "Model", "Software", "ProcessingSoftware", "ModifyDate"] },
  exif: { pick: ["DateTimeOriginal", "ExifImageWidth", "ExifImageHeight", "UserComment"] },
  gps: { pick: ["GPSDateStamp"] },
  xmp: false,
  mergeOutput: false,
  reviveValues: false,
  userComment: true,
  translateKeys: true,
};

function tiffBlock(exif: Uint8Array): Buffer {
  const block = Buffer.from(exif.buffer, exif.byteOffset, exif.byteLength);
  return block.toString("latin1", 0, 6) === "Exif\0\0" ? block.subarray(6) : block;
}

function errorText(error: unknown): string {
  return messageOf(error).slice(0, 200);
}

export async function readMetadata(blocks: MetadataBlocks): Promise<ReadMetadata> {
  const problems: { what: "EXIF" | "XMP" | "IPTC"; error: string }[] = [];
  const reading = async <Result>(
    what: "EXIF" | "XMP" | "IPTC",
    block: Uint8Array | null,
    nothing: Result,
    read: (block: Uint8Array) => Result | Promise<Result>,
  ): Promise<Result> => {
    if (block === null) return nothing;
    try {
      if (block.byteLength > largestBlock) throw new Error(`it is ${block.byteLength} bytes long`);
      return await read(block);
    } catch (error) {
      problems.push({ what, error: errorText(error) });
      return nothing;
    }
  };
  const nothing: { exif: z.infer<typeof tags>; thumbnail: Uint8Array | null } = { exif: {}, thumbnail: null };
  const { exif, thumbnail } = await reading("EXIF", blocks.exif, nothing, async (block) => {
    const found: unknown = await exifr.parse(tiffBlock(block), exifOptions);
    // A preview that cannot be found is as good as none.
    const preview = await exifr.thumbnail(tiffBlock(block)).catch(() => undefined);
    return { exif: tags.parse(found ?? {}), thumbnail: preview ? Uint8Array.from(preview) : null };
  });
  const xmp = await reading("XMP", blocks.xmp, noXmp, readXmp);
  const iptc = await reading("IPTC", blocks.iptc, { instructions: null, photoshop: [] }, readIptc);
  const { ifd0, exif: details, gps } = exif;
  const { Make, Model } = ifd0 ?? {};
  // Many makers repeat their name in the model's.
  const camera = Model?.toLowerCase().startsWith((Make ?? "").toLowerCase())
    ? Model
    : [Make, Model].filter(Boolean).join(" ");
  const [width, height] = [details?.ExifImageWidth, details?.ExifImageHeight];
  const pngSoftware = blocks.comments.find(({ keyword }) => keyword.toLowerCase() === "software")?.text;
  const metadata = {
    camera: camera || null,
    software: ifd0?.Software || ifd0?.ProcessingSoftware || xmp.creator || pngSoftware?.slice(0, 200) || null,
    taken: details?.DateTimeOriginal || null,
    modified: ifd0?.ModifyDate || null,
    gpsDate: gps?.GPSDateStamp || null,
    recorded: width !== undefined && height !== undefined ? ([width, height] as const) : null,
    programs: xmp.programs,
    actions: xmp.actions,
    derivedFrom: xmp.derivedFrom,
    sourceType: xmp.sourceType,
    provenanceAddress: xmp.provenanceAddress,
    instructions: iptc.instructions,
    photoshop: iptc.photoshop,
    screenshot:
      details?.UserComment?.toLowerCase() === "screenshot" ||
      blocks.comments.some(({ text: comment }) => comment.trim().toLowerCase() === "screenshot"),
    thumbnail,
    any: [blocks.exif, blocks.xmp, blocks.iptc].some((block) => block !== null) || blocks.comments.length > 0,
  };
  return { metadata, problems };
}

const noXmp = {
  creator: null as string | null,
  programs: [] as string[],
  actions: [] as string[],
  derivedFrom: null as string | null,
  sourceType: null as string | null,
  provenanceAddress: null as string | null,
};

/** Entries of an editing history that are read; nobody reads more, and a file may claim a million. */
const longestHistory = 200;

/**
 * The few properties of an XMP packet that matter here, as attribute or as element. A packet is searched for them, not
 * parsed as XML: a parser would have to be protected from what hostile XML does to parsers.
 */
function readXmp(block: Uint8Array): typeof noXmp {
  const packet = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString("utf8");
  if (!packet.includes("<")) throw new Error("it is no XML");
  const all = (name: string) => {
    const values: string[] = [];
    const pattern = /^(?:="([^"<]{1,500})"|>([^<]{1,500})<\/)/;
    let at = packet.indexOf(name);
    // So many places are looked at whether or not a value follows: each costs something.
    for (let looked = 0; at >= 0 && looked < 4 * longestHistory && values.length < longestHistory; looked++) {
      const from = at + name.length;
      const [, attribute, element] = pattern.exec(packet.slice(from, from + 600)) ?? [];
      const value = unescapeXml(attribute ?? element ?? "").trim();
      if (value !== "") values.push(value);
      at = packet.indexOf(name, from);
    }
    return values;
  };
  const sourceType = all("DigitalSourceType")[0];
  return {
    creator: all("xmp:CreatorTool")[0] ?? null,
    programs: [...new Set(all("stEvt:softwareAgent"))],
    actions: [...new Set(all("stEvt:action"))],
    derivedFrom: all("stRef:originalDocumentID")[0] ?? all("stRef:documentID")[0] ?? null,
    sourceType: sourceType?.split("/").at(-1) ?? null,
    provenanceAddress: all("dcterms:provenance")[0] ?? null,
  };
}

function unescapeXml(value: string): string {
  const names: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return value.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => names[name] ?? "");
}

/** Resources that only a program for editing writes, by their number (Adobe's file format specification). */
const photoshopResources: Readonly<Record<number, string>> = {
  1000: "channels, rows and depth",
  1010: "background colour",
  1013: "halftoning",
  1016: "transfer functions",
  1024: "layer state",
  1026: "layer groups",
  1030: "JPEG quality",
  1032: "grid and guides",
  1036: "thumbnail",
  1050: "slices",
  1057: "version",
};

function readIptc(block: Uint8Array): { instructions: string | null; photoshop: string[] } {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const photoshop: string[] = [];
  let records = bytes;
  // Image resources: "8BIM", number, Pascal string, length, data, each padded to even bytes.
  let at = bytes.indexOf("8BIM");
  if (at >= 0) {
    records = Buffer.alloc(0);
    for (let count = 0; at + 12 <= bytes.length && count < 200; count++) {
      if (bytes.toString("latin1", at, at + 4) !== "8BIM") break;
      const number = bytes.readUInt16BE(at + 4);
      const name = bytes.readUInt8(at + 6) + 1;
      const start = at + 6 + name + (name % 2);
      if (start + 4 > bytes.length) break;
      const length = bytes.readUInt32BE(start);
      if (number === 1028) records = bytes.subarray(start + 4, start + 4 + length);
      const resource = photoshopResources[number];
      if (resource !== undefined) photoshop.push(resource);
      at = start + 4 + length + (length % 2);
    }
  }
  let instructions: string | null = null;
  // IPTC: 0x1c, record, number, length, data. Special instructions are 2:40.
  for (let i = 0; i + 5 <= records.length && records[i] === 0x1c; ) {
    const length = records.readUInt16BE(i + 3);
    if (length > 0x7fff) break;
    if (records[i + 1] === 2 && records[i + 2] === 40) {
      instructions = records.toString("utf8", i + 5, i + 5 + Math.min(length, 200));
    }
    i += 5 + length;
  }
  return { instructions, photoshop };
}
