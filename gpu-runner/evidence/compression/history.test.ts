import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../image/decode.ts";
import { lumaOf, type Point } from "../plane.ts";
import { believedDepth, believedGain, compressionDiffers, examineHistory, ghostDiffers } from "./history.ts";

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

async function historyOf(bytes: Buffer, polygon: readonly Point[] = []) {
  const image = await decodeImage(bytes, 1e7);
  const own = image.header.jpeg;
  return examineHistory({
    plane: lumaOf(image),
    jpeg: own && { table: own.firstTable, quality: own.quality ?? 0 },
    regions: polygon.length === 0 ? [] : [{ id: "r1", polygon }],
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

  it("of a region that came from another JPEG differs from the rest, and that of an innocent one does not", async () => {
    const [left, top, width, height] = [160, 80, 144, 144] as const;
    const piece = await sharp(await jpeg(pristine, 55))
      .extract({ left: 24, top: 40, width, height })
      .png()
      .toBuffer();
    const forged = await sharp(pristine)
      .composite([{ input: piece, left, top }])
      .png()
      .toBuffer();
    const [differing] = (await historyOf(forged, box(left, top, width, height))).regions;
    expect(differing && ghostDiffers(differing)).toMatchObject({ inside: true });
    const innocent = await jpeg(await jpeg(pristine, 70), 92);
    const [same] = (await historyOf(innocent, box(left, top, width, height))).regions;
    if (same === undefined) throw new Error("the region was not compared");
    expect([compressionDiffers(same), ghostDiffers(same)]).toEqual([false, null]);
  });
});
