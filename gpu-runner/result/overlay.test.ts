/** What is drawn over an image: looked at pixel by pixel, on plain grey. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { Point } from "../evidence/plane.ts";
import { region } from "../testing/finding.ts";
import { drawOverlay, type OverlayInput } from "./overlay.ts";

const grey = 128;

function rectangle(left: number, top: number, right: number, bottom: number): Point[] {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/** The overlay of a plain grey image. `at` gives the levels of red, green and blue of a pixel of the drawn picture. */
async function drawn(width: number, height: number, more: Partial<OverlayInput>) {
  const overlay = await drawOverlay({
    stored: { pixels: new Uint8Array(width * height * 3).fill(grey), width, height },
    orientation: 1,
    map: { data: new Uint8Array(width * height), width, height },
    regions: [],
    links: [],
    ...more,
  });
  const { data, info } = await sharp(overlay).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
  return { info, data, at };
}

/** How often white and the dark edge beneath it take turns along a row of pixels; a dash is one turn. */
function dashes(pixels: readonly (readonly number[])[]): number {
  const light = pixels.map(([red = 0]) => red > grey);
  return light.filter((lit, i) => lit && !light[i - 1]).length;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("the overlay", () => {
  const source = rectangle(40, 40, 140, 120);
  const target = rectangle(300, 180, 400, 260);
  const copied = {
    ...region,
    polygon: [...target] as [number, number][],
    bbox: { x: 300, y: 180, width: 100, height: 80 },
  };

  it("outlines a region without a gap, and the place that it was copied from dashed", async () => {
    const { at } = await drawn(500, 300, { regions: [copied], links: [{ region: "r1", source, target }] });
    // Beside corners, label and line both borders are plain.
    expect(dashes(range(310, 390).map((x) => at(x, 259)))).toBe(1);
    expect(dashes(range(50, 130).map((x) => at(x, 119)))).toBeGreaterThan(5);
    expect(dashes(range(50, 110).map((y) => at(139, y)))).toBeGreaterThan(4);
  });

  it("leads from the source to its copy by a dashed line that ends in a dot", async () => {
    const { at } = await drawn(500, 300, { links: [{ region: "r1", source, target }] });
    const along = (part: number) => at(Math.round(90 + part * 260), Math.round(80 + part * 140));
    expect(dashes(range(30, 90).map((i) => along(i / 100)))).toBeGreaterThan(8);
    expect(at(350, 220)).toEqual([255, 255, 255]);
    expect(at(90, 220)).toEqual([grey, grey, grey]);
  });

  it("draws nothing where there is nothing, and where the map is low", async () => {
    const { data } = await drawn(120, 80, {});
    expect(new Set(data)).toEqual(new Set([grey]));
  });

  it("tints where the map is high, from yellow to red", async () => {
    const map = { data: new Uint8Array(120 * 80), width: 120, height: 80 };
    map.data.fill(140, 0, 60);
    map.data.fill(255, 60, 120);
    for (let y = 1; y < 80; y++) map.data.copyWithin(y * 120, 0, 120);
    const { at } = await drawn(120, 80, { map });
    const [low, high] = [at(20, 40), at(100, 40)];
    expect(low[0]).toBeGreaterThan(grey);
    expect(high[0]).toBeGreaterThan(low[0] ?? 0);
    expect(high[1]).toBeLessThan(low[1] ?? 0);
  });

  it("of a large image is reduced, and so is all that is drawn", async () => {
    const enlarged = (polygon: readonly Point[]) => polygon.map(([x, y]): Point => [8 * x, 8 * y]);
    const links = [{ region: "r1", source: enlarged(source), target: enlarged(target) }];
    const { info, at } = await drawn(4000, 2400, { links });
    expect([info.width, info.height]).toEqual([2048, 1229]);
    const scale = 2048 / 500;
    expect(at(Math.round(350 * scale), Math.round(220 * scale))).toEqual([255, 255, 255]);
    const lower = Math.round(120 * scale);
    expect(dashes(range(Math.round(50 * scale), Math.round(130 * scale)).map((x) => at(x, lower)))).toBeGreaterThan(5);
  });

  it("lies as the image is displayed", async () => {
    // Stored 500 × 300, a quarter turn to the right for display: 300 × 500.
    const map = { data: new Uint8Array(500 * 300), width: 300, height: 500 };
    const links = [{ region: "r1", source: rectangle(20, 20, 80, 80), target: rectangle(200, 400, 260, 460) }];
    const { info, at } = await drawn(500, 300, { orientation: 6, map, links });
    expect([info.width, info.height]).toEqual([300, 500]);
    expect(at(230, 430)).toEqual([255, 255, 255]);
  });
});
