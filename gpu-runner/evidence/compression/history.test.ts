import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../image/decode.ts";
import type { Point } from "../plane.ts";
import {
  believedDepth,
  believedGain,
  compressionDiffers,
  examineHistory,
  ghostDiffers,
  historiesDiffer,
} from "./history.ts";

/** Halved: what its own JPEG left is gone. */
const pristine = await sharp(readFileSync(new URL("../../../test/samples/landscape.jpg", import.meta.url)))
  .resize(448, 336)
  .png()
  .toBuffer();
const jpeg = (picture: Buffer, quality: number) => sharp(picture).jpeg({ quality }).toBuffer();
const box = (left: number, top: number, width: number, height: number): Point[] => [
  [left, top],
  [left + width, top],
  [left + width, top + height],
  [left, top + height],
];

async function historyOf(bytes: Buffer, polygon: readonly Point[] = [], differencesOnly = false) {
  const image = await decodeImage(bytes, 1e7);
  const own = image.header.jpeg;
  return examineHistory({
    picture: image,
    jpeg: own && { table: own.firstTable, quality: own.quality ?? 0 },
    regions: polygon.length === 0 ? [] : [{ id: "r1", polygon }],
    differencesOnly,
  });
}

describe("the compression history", () => {
  it("of a picture saved once shows no earlier JPEG", async () => {
    const { double, ghost } = await historyOf(await jpeg(pristine, 90));
    expect(double?.gain).toBeLessThan(believedGain);
    expect(ghost?.depth ?? 0).toBeLessThan(believedDepth);
  });

  it.each([60, 75])("of a JPEG of quality %i saved again tells that quality", async (earlier) => {
    const { double } = await historyOf(await jpeg(await jpeg(pristine, earlier), 92));
    expect(double?.gain).toBeGreaterThan(believedGain);
    expect(Math.abs((double?.quality ?? 0) - earlier)).toBeLessThanOrEqual(2);
  });

  it("of a JPEG that was cropped and became a PNG tells its quality and where its grid lies", async () => {
    const cropped = await sharp(await jpeg(pristine, 65))
      .extract({ left: 3, top: 5, width: 440, height: 328 })
      .png()
      .toBuffer();
    const { ghost } = await historyOf(cropped);
    expect(ghost?.depth).toBeGreaterThan(believedDepth);
    expect(ghost?.offset).toEqual([5, 3]);
    expect(Math.abs((ghost?.quality ?? 0) - 65)).toBeLessThanOrEqual(3);
  });

  describe("of a region", () => {
    const [left, top] = [160, 80] as const;
    /** A square piece of a JPEG of quality 55, put into a picture that never was one, or the other way round. */
    const pasted = async (side: number, piece: Buffer, into: Buffer) => {
      const input = await sharp(piece).extract({ left: 24, top: 40, width: side, height: side }).png().toBuffer();
      return sharp(into).composite([{ input, left, top }]).png().toBuffer();
    };

    // 14×14 and 9×9 whole blocks.
    it.each([
      ["large", 120],
      ["small", 80],
    ])("that came from another JPEG differs from the rest where it is %s", async (_, side) => {
      const place = box(left, top, side, side);
      const ghostly = await pasted(side, await jpeg(pristine, 55), pristine);
      const history = await historyOf(ghostly, place);
      expect(history.regions.map(ghostDiffers)).toMatchObject([{ inside: true }]);
      expect(historiesDiffer(history, false)).toBe(true);
    });

    it.each([120, 80])("of %i pixels that is new in a JPEG saved twice differs from the rest", async (side) => {
      const forged = await jpeg(await pasted(side, pristine, await jpeg(pristine, 55)), 92);
      const history = await historyOf(forged, box(left, top, side, side));
      expect(history.regions.map(compressionDiffers)).toEqual(["image"]);
      expect(historiesDiffer(history, true)).toBe(true);
    });

    it("that is innocent does not differ, and one of a few blocks is not compared", async () => {
      const innocent = await jpeg(await jpeg(pristine, 70), 92);
      const { regions } = await historyOf(innocent, box(left, top, 144, 144));
      expect(regions.map((region) => [compressionDiffers(region), ghostDiffers(region)])).toEqual([[null, null]]);
      expect((await historyOf(innocent, box(left, top, 56, 56))).regions).toEqual([]);
    });

    it("does not differ by colours so deep that a decoder cuts them off", async () => {
      const side = 160;
      // A rough green surface without any red, in a picture that was saved twice as a whole.
      const data = Buffer.alloc(3 * side * side);
      const noise = (i: number) => Math.abs(Math.sin(i * 12.9898) * 43758.5453) % 1;
      for (let y = 0, at = 0; y < side; y++) {
        for (let x = 0; x < side; x++, at += 3) {
          const value = 40 + 60 * (noise((y >> 1) * 997 + (x >> 1)) + noise(5e5 + (y >> 3) * 997 + (x >> 3)));
          data.set([0, 0.8 * value, 0.4 * value], at);
        }
      }
      const surface = await sharp(data, { raw: { width: side, height: side, channels: 3 } })
        .png()
        .toBuffer();
      const deep = await sharp(pristine)
        .composite([{ input: surface, left, top }])
        .png()
        .toBuffer();
      const history = await historyOf(await jpeg(await jpeg(deep, 70), 88), box(left, top, side, side));
      expect(history.double?.gain).toBeGreaterThan(believedGain);
      expect(history.regions).toEqual([]);
      expect(historiesDiffer(history, true)).toBe(false);
    });

    it("differs or not, whether or not the image's own history is wanted as well", async () => {
      const place = box(left, top, 120, 120);
      const ghostly = await pasted(120, await jpeg(pristine, 55), pristine);
      const twice = await jpeg(await pasted(120, pristine, await jpeg(pristine, 55)), 92);
      for (const [file, isJpeg] of [
        [ghostly, false],
        [twice, true],
        [await jpeg(pristine, 92), true],
        [pristine, false],
      ] as const) {
        const [whole, differences] = [await historyOf(file, place), await historyOf(file, place, true)];
        expect(historiesDiffer(differences, isJpeg)).toBe(historiesDiffer(whole, isJpeg));
      }
    });
  });
});
