import { describe, expect, it } from "vitest";
import { Blender, normalisedWindows } from "./blend.ts";
import { tileGrid, tilesAlong } from "./tiler.ts";

const overlap = 32;

describe("windows", () => {
  it("sum to 1 at every coordinate", () => {
    const origins = [0, 96, 192, 240];
    const sums = new Float64Array(368);
    normalisedWindows(origins, 128, overlap).forEach((window, index) => {
      window.forEach((weight, i) => {
        sums[(origins[index] ?? 0) + i] = (sums[(origins[index] ?? 0) + i] ?? 0) + weight;
      });
    });
    expect(Math.min(...sums)).toBeCloseTo(1, 5);
    expect(Math.max(...sums)).toBeCloseTo(1, 5);
  });

  it("sum to 1, and are no more than 1 and no less than 0, where tiles overlap by more than planned", () => {
    for (const length of [129, 150, 193, 225, 260, 1001]) {
      const { side, origins } = tilesAlong(length, { tile: 128, tile_step: 64, overlap });
      const sums = new Float64Array((origins.at(-1) ?? 0) + side);
      normalisedWindows(origins, side, overlap).forEach((window, index) => {
        expect(Math.min(...window)).toBeGreaterThan(0);
        expect(Math.max(...window)).toBeLessThanOrEqual(1);
        window.forEach((weight, i) => {
          sums[(origins[index] ?? 0) + i] = (sums[(origins[index] ?? 0) + i] ?? 0) + weight;
        });
      });
      expect(Math.min(...sums)).toBeCloseTo(1, 5);
      expect(Math.max(...sums)).toBeCloseTo(1, 5);
    }
  });

  it("are 1 where no other tile reaches, up to the image's own edge", () => {
    const [first] = normalisedWindows([0, 96], 128, overlap);
    expect(first?.[0]).toBe(1);
    expect(first?.[95]).toBe(1);
  });
});

it("two tiles that disagree meet in a smooth, symmetric ramp over their overlap", () => {
  const size = { width: 224, height: 32 };
  const blender = new Blender(size, tileGrid(size, { tile: 128, tile_step: 32, overlap }), overlap, null);
  blender.add(0, 0, new Uint8Array(128 * 32).fill(200));
  blender.add(0, 1, new Uint8Array(128 * 32).fill(0));
  blender.finishRow(0);
  const row = Array.from(blender.map.subarray(0, 224));
  expect(row.slice(0, 96).every((value) => value === 200)).toBe(true);
  expect(row.slice(128).every((value) => value === 0)).toBe(true);
  const ramp = row.slice(96, 128);
  const falls = ramp.slice(1).map((value, i) => (ramp[i] ?? 0) - value);
  expect(Math.min(...falls)).toBeGreaterThanOrEqual(0);
  // A raised cosine is steepest in its middle, by 200 · π / 2 / 32.
  expect(Math.max(...falls)).toBeLessThan(11);
  for (const [i, value] of ramp.entries()) expect(Math.abs(value + (ramp[31 - i] ?? 0) - 200)).toBeLessThanOrEqual(1);
});

it("tiles that overlap by more than planned meet without a step", () => {
  // Two tiles of 128 where tiles of 81 would do: they have 96 pixels in common.
  const size = { width: 160, height: 32 };
  const grid = tileGrid(size, { tile: 128, tile_step: 128, overlap });
  expect(grid.columns).toEqual([0, 32]);
  const blender = new Blender(size, grid, overlap, null);
  blender.add(0, 0, new Uint8Array(128 * 32).fill(200));
  blender.add(0, 1, new Uint8Array(128 * 32).fill(0));
  blender.finishRow(0);
  const row = Array.from(blender.map.subarray(0, 160));
  expect(row.slice(0, 32).every((value) => value === 200)).toBe(true);
  expect(row.slice(128).every((value) => value === 0)).toBe(true);
  const falls = row.slice(1).map((value, i) => (row[i] ?? 0) - value);
  expect(Math.min(...falls)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...falls)).toBeLessThan(11);
});
