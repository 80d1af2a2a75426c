/** What the network is shown: the frames of model/interpretation/README.md, and what lies in them. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { displayedSize, type Orientation, orient } from "../image/orientation.ts";
import { findRegions } from "../result/regions.ts";
import { closeUpOf, detailOf, onStoredGrid, side, viewsOf } from "./views.ts";

const image = { width: 900, height: 600 };
const square = (left: number, top: number, width: number, height: number) => ({
  box: { left, top, width, height },
  polygon: [
    [left + width, top],
    [left + width, top + height],
    [left, top + height],
    [left, top],
  ] as const,
});

describe("frames", () => {
  it("of a close-up are squares around the region, pushed back into the image and cut where they are larger", () => {
    expect(closeUpOf({ left: 400, top: 300, width: 101, height: 50 }, image)).toEqual({
      left: 374,
      top: 249,
      width: 152,
      height: 152,
    });
    expect(closeUpOf({ left: 0, top: 590, width: 10, height: 10 }, image)).toEqual({
      left: 0,
      top: 536,
      width: 64,
      height: 64,
    });
    expect(closeUpOf({ left: 100, top: 100, width: 700, height: 200 }, image)).toEqual({
      left: 0,
      top: 0,
      width: 900,
      height: 600,
    });
  });

  it("of a detail start on the JPEG grid, around the middle of what fits and the left border of what does not", () => {
    expect(detailOf(square(400, 300, 101, 50), image)).toEqual({ left: 352, top: 224, width: 192, height: 192 });
    expect(detailOf(square(400, 100, 400, 50), image)).toEqual({ left: 304, top: 24, width: 192, height: 192 });
    expect(detailOf(square(10, 10, 20, 20), { width: 100, height: 300 })).toEqual({
      left: 0,
      top: 0,
      width: 100,
      height: 192,
    });
  });
});

describe("views", () => {
  it("show the region where it lies, whole, near and in detail, and nothing of the others", async () => {
    const marked = { data: new Uint8Array(900 * 600), ...image };
    for (let y = 300; y < 350; y++) marked.data.fill(255, y * 900 + 400, y * 900 + 500);
    for (let y = 0; y < 40; y++) marked.data.fill(255, y * 900, y * 900 + 40);
    const pixels = new Uint8Array(900 * 600 * 3);
    for (let i = 0; i < 900 * 600; i++) pixels.fill(i % 900 < 450 ? 200 : 20, 3 * i, 3 * i + 3);
    const regions = findRegions(marked, 0.5, 0).map((region) => onStoredGrid(region, image, 1));
    const { views, masks } = await viewsOf({ pixels, ...image }, marked, regions);
    expect([views.length, masks.length]).toEqual([2 * 3 * side * side * 3, 2 * 3 * side * side]);
    const maskAt = (region: number, view: number, x: number, y: number) =>
      masks[((region * 3 + view) * side + y) * side + x];
    // Whole: a pixel stands for 900 / 192 × 600 / 192.
    expect([maskAt(0, 0, 96, 104), maskAt(0, 0, 2, 2), maskAt(1, 0, 2, 2), maskAt(1, 0, 96, 104)]).toEqual([
      255, 0, 255, 0,
    ]);
    // Close-up of 150 px from (375, 250): the region reaches from a sixth to five sixths across.
    expect([maskAt(0, 1, 96, 96), maskAt(0, 1, 20, 96), maskAt(0, 1, 172, 96), maskAt(0, 1, 96, 40)]).toEqual([
      255, 0, 0, 0,
    ]);
    // Detail from (352, 224): the region's corner lies at (48, 76).
    expect([maskAt(0, 2, 48, 76), maskAt(0, 2, 47, 76), maskAt(0, 2, 48, 75), maskAt(0, 2, 147, 125)]).toEqual([
      255, 0, 0, 255,
    ]);
    const redAt = (x: number) => views[((2 * side + 96) * side + x) * 3];
    expect([redAt(450 - 352 - 1), redAt(450 - 352)]).toEqual([200, 20]);
  });

  it("are of the stored grid, however the image is turned to be displayed", async () => {
    const stored = { width: 90, height: 60 };
    const data = new Uint8Array(90 * 60);
    for (let y = 5; y < 15; y++) data.fill(255, y * 90 + 60, y * 90 + 80);
    const raw = { ...stored, channels: 1 as const };
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8] satisfies Orientation[]) {
      const turned = await orient(sharp(data, { raw }), orientation).toColourspace("b-w").raw().toBuffer();
      const [region] = findRegions({ data: turned, ...displayedSize(90, 60, orientation) }, 0.5, 0);
      if (region === undefined) throw new Error("the region was not found");
      const { box, polygon } = onStoredGrid(region, stored, orientation);
      expect(box).toEqual({ left: 60, top: 5, width: 20, height: 10 });
      const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
      expect([Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]).toEqual([60, 80, 5, 15]);
    }
  });
});
