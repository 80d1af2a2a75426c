import { expect, it } from "vitest";
import { heatColours } from "./heat.ts";

const alpha = (colour: number | undefined) => (colour ?? 0) >>> 24;

it("hides what lies below the threshold, and shows more the more certain it is", () => {
  const colours = heatColours(0.5, 1);
  expect(colours[127]).toBe(0);
  expect(alpha(colours[128])).toBeGreaterThan(100);
  expect(alpha(colours[255])).toBe(255);
  const shown = [...colours.slice(128)].map(alpha);
  expect(shown).toEqual([...shown].sort((a, b) => a - b));
});

it("fades with its strength and is gone at none", () => {
  expect(alpha(heatColours(0.5, 0.4)[255])).toBe(102);
  expect(new Set(heatColours(0.1, 0))).toEqual(new Set([0]));
});
