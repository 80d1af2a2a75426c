/** Blocks of metadata as cameras, editors, platforms and attackers write them. */
import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage, type MetadataBlocks } from "../../image/decode.ts";
import { resource } from "../../testing/photoshop.ts";
import type { EvidenceCode, EvidenceDetails } from "../codes.ts";
import { readMetadata } from "./read.ts";
import { metadataEvidence, thumbnailEvidence } from "./statements.ts";
import { compareThumbnail } from "./thumbnail.ts";

const photo = readFileSync(new URL("../../../test/samples/landscape.jpg", import.meta.url));
const other = readFileSync(new URL("../../../test/samples/kitten-authentic.jpg", import.meta.url));
const image = await decodeImage(photo, 1e7);
const nothing: MetadataBlocks = { exif: null, xmp: null, iptc: null, comments: [] };

async function statedOf(blocks: Partial<MetadataBlocks>) {
  const all = { ...nothing, ...blocks };
  const { metadata, problems } = await readMetadata(all);
  const stated = new Map<EvidenceCode, EvidenceDetails[EvidenceCode]>();
  metadataEvidence(metadata, { ...image, metadata: all }, new Date("2026-01-01"), (code, details) =>
    stated.set(code, details),
  );
  return { stated, problems };
}

function packet(properties: string): Buffer {
  return Buffer.from(`<x:xmpmeta><rdf:RDF><rdf:Description ${properties}/></rdf:RDF></x:xmpmeta>`);
}

/** An EXIF block (TIFF, little-endian) with nothing but a preview. */
function exifWith(preview: Buffer): Buffer {
  const block = Buffer.alloc(8 + 6 + 2 + 3 * 12 + 4);
  block.write("II*\0", "latin1");
  block.writeUInt32LE(8, 4);
  // The first directory is empty and names the second.
  block.writeUInt32LE(14, 10);
  block.writeUInt16LE(3, 14);
  const entries = [
    [0x0103, 3, 6],
    [0x0201, 4, block.length],
    [0x0202, 4, preview.length],
  ] as const;
  entries.forEach(([tag, type, value], i) => {
    const at = 16 + 12 * i;
    block.writeUInt16LE(tag, at);
    block.writeUInt16LE(type, at + 2);
    block.writeUInt32LE(1, at + 4);
    block.writeUInt32LE(value, at + 8);
  });
  return Buffer.concat([block, preview]);
}

describe("metadata", () => {
  it("names the programs of an editing history once each", async () => {
    const entry = (agent: string) => `stEvt:action="saved" stEvt:softwareAgent="${agent}"`;
    const xmp = packet(["Adobe Photoshop 25.0", "Adobe Photoshop 25.0", "Some Camera"].map(entry).join(" "));
    const { stated } = await statedOf({ xmp });
    expect(stated.get("editing_history")).toMatchObject({ programs: ["Adobe Photoshop 25.0"], actions: ["saved"] });
  });

  it("that declares a picture to be generated is told", async () => {
    const type = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
    const { stated } = await statedOf({ xmp: packet(`Iptc4xmpExt:DigitalSourceType="${type}"`) });
    expect(stated.get("declared_generated")).toEqual({ source: "xmp", statement: "trainedAlgorithmicMedia" });
    const comments = [{ keyword: "parameters", text: "a cat, Steps: 20, Sampler: Euler a" }];
    expect((await statedOf({ comments })).stated.get("declared_generated")).toMatchObject({ source: "png_text" });
  });

  it("tells platforms and Photoshop by the blocks they write", async () => {
    const instructions = "FBMD01000a9c0300";
    const record = Buffer.concat([Buffer.from([0x1c, 2, 40, 0, instructions.length]), Buffer.from(instructions)]);
    const iptc = Buffer.concat([
      resource(1028, record),
      resource(1030, Buffer.alloc(3)),
      resource(1036, Buffer.alloc(8)),
    ]);
    const { stated, problems } = await statedOf({ iptc });
    expect(problems).toEqual([]);
    expect(stated.get("platform_trace")).toMatchObject({ platform: "Facebook or Instagram" });
    expect(stated.get("photoshop_blocks")).toEqual({ blocks: ["JPEG quality", "thumbnail"] });
  });

  it("that was made to keep its reader busy is read in no time", async () => {
    const start = process.cpuUsage();
    const many = Buffer.from(`<${"stEvt:softwareAgent>".repeat(200_000)}`);
    await statedOf({
      xmp: many,
      iptc: Buffer.concat(Array.from({ length: 50_000 }, () => resource(1030, Buffer.alloc(0)))),
    });
    expect(process.cpuUsage(start).user).toBeLessThan(5e6);
    const { problems } = await statedOf({ xmp: Buffer.alloc(5 * 2 ** 20, "<") });
    expect(problems.map(({ what }) => what)).toEqual(["XMP"]);
  });
});

describe("a preview", () => {
  const small = (bytes: Buffer) => sharp(bytes).resize(160, 120, { fit: "fill" }).jpeg({ quality: 70 }).toBuffer();
  const codeOf = async (preview: Buffer) => {
    const { metadata } = await readMetadata({ ...nothing, exif: exifWith(preview) });
    if (metadata.thumbnail === null) throw new Error("the preview was not found");
    const codes: string[] = [];
    thumbnailEvidence(await compareThumbnail(metadata.thumbnail, image), image, (code) => codes.push(code));
    return codes;
  };

  it("of the same picture agrees, brighter or not", async () => {
    expect(await codeOf(await small(photo))).toEqual(["thumbnail_agrees"]);
    expect(
      await codeOf(
        await sharp(await small(photo))
          .linear(0.8, 20)
          .jpeg()
          .toBuffer(),
      ),
    ).toEqual(["thumbnail_agrees"]);
  });

  it("of another picture, or of this one before something was put in, differs", async () => {
    expect(await codeOf(await small(other))).toEqual(["thumbnail_differs"]);
    const patch = await sharp({ create: { width: 40, height: 30, channels: 3, background: "#000" } })
      .png()
      .toBuffer();
    const before = await sharp(await small(photo))
      .composite([{ input: patch, left: 20, top: 10 }])
      .jpeg()
      .toBuffer();
    expect(await codeOf(before)).toEqual(["thumbnail_differs"]);
  });

  it("that is none is not looked for in vain", async () => {
    const { metadata } = await readMetadata({ ...nothing, exif: exifWith(Buffer.from("this is no JPEG")) });
    await expect(compareThumbnail(metadata.thumbnail ?? new Uint8Array(), image)).rejects.toThrow();
  });
});
