import { readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { lumaOf, type Point, rasterize } from "../plane.ts";
import { findCopies } from "./correspondence.ts";

const photo = await sharp(readFileSync(new URL("../../../test/samples/kitten-authentic.jpg", import.meta.url)))
  .resize(600, 406)
  .png()
  .toBuffer();
const [width, height] = [110, 100];

async function copiesIn(bytes: Buffer) {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return findCopies(lumaOf({ pixels: data, ...info }), false).copies;
}

/** Copies a part of the photograph to another place of it, turned. */
async function forged(degrees: number, quality: number): Promise<Buffer> {
  const piece = await sharp(photo).extract({ left: 300, top: 120, width, height }).png().toBuffer();
  const turned = await sharp(piece).rotate(degrees, { background: "#00000000" }).png().toBuffer();
  return sharp(
    await sharp(photo)
      .composite([{ input: turned, left: 40, top: 260 }])
      .png()
      .toBuffer(),
  )
    .jpeg({ quality })
    .toBuffer();
}

const middleOf = (polygon: readonly Point[]) =>
  [0, 1].map((axis) => {
    const values = polygon.map((point) => point[axis] ?? 0);
    return (Math.min(...values) + Math.max(...values)) / 2;
  });

describe("copies", () => {
  it.each([
    [0, 90],
    [15, 90],
    [0, 75],
  ])("turned by %i° and saved at quality %i are found with their source", async (degrees, quality) => {
    const [copy] = await copiesIn(await forged(degrees, quality));
    if (copy === undefined) throw new Error("nothing was found");
    const places = [middleOf(copy.first), middleOf(copy.second)].toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
    const [target, source] = places;
    expect(Math.hypot((source?.[0] ?? 0) - 355, (source?.[1] ?? 0) - 170)).toBeLessThan(30);
    expect(Math.hypot((target?.[0] ?? 0) - 95, (target?.[1] ?? 0) - 310)).toBeLessThan(45);
    expect(Math.abs(copy.rotation)).toBeCloseTo(degrees, -0.5);
    expect(copy.similarity).toBeGreaterThan(0.94);
    expect(copy.grain).toBeGreaterThan(0.5);
    // With what agrees more loosely it is larger, and no larger than what was copied.
    const sizeOf = (polygon: readonly Point[]) => rasterize(polygon, 600, 406).reduce((sum, inside) => sum + inside, 0);
    expect(sizeOf(copy.whole.first)).toBeGreaterThan(copy.area);
    expect(sizeOf(copy.whole.second) / (width * height)).toBeLessThan(1.15);
  });

  it("are none in an authentic photograph, nor in plain noise or a plain surface", async () => {
    expect(await copiesIn(photo)).toEqual([]);
    const create = { width: 300, height: 200, channels: 3, background: "#888" } as const;
    expect(await copiesIn(await sharp({ create }).png().toBuffer())).toEqual([]);
    const noise = { ...create, noise: { type: "gaussian", mean: 128, sigma: 30 } } as const;
    expect(await copiesIn(await sharp({ create: noise }).png().toBuffer())).toEqual([]);
  });

  it("are looked for in pictures of any size", async () => {
    for (const [w, h] of [
      [1, 1],
      [7, 300],
      [40, 40],
    ] as const) {
      expect(await copiesIn(await sharp(photo).resize(w, h, { fit: "fill" }).png().toBuffer())).toEqual([]);
    }
  });
});
