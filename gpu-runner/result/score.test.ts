import { describe, expect, it } from "vitest";
import { imageScore, type ScoreInput, unknownFeatures, verdictOf } from "./score.ts";

/** 100 pixels: 90 of 0, 9 of 51 (0.2), one of 255. */
const data = Uint8Array.from({ length: 100 }, (_, i) => (i < 90 ? 0 : i < 99 ? 51 : 255));
const input: ScoreInput = {
  map: { data, width: 10, height: 10 },
  networkScores: [0.2, 0.9, 0.4],
  viewScore: 0.8,
  pixelThreshold: 0.5,
  traces: { copied: false, recompressed: false },
};

/** The value of one feature: the score of a logistic on it alone, undone. */
function feature(name: string, given: ScoreInput = input): number {
  const score = imageScore({ features: [name], weights: [1], bias: 0 }, given);
  return Math.log(score / (1 - score));
}

describe("features", () => {
  // numpy.quantile(p, q) of the map above: ranks 49.5, 89.1, 98.01 and 98.901.
  it.each([
    ["q50", 0],
    ["q90", 0.02],
    ["q99", 0.2 + 0.01 * 0.8],
    ["q999", 0.2 + 0.901 * 0.8],
    ["max", 1],
    ["area", 0.01],
    ["log_megapixels", -4],
    ["network", Math.log(0.9 / 0.1)],
    ["network_mean", 0],
    ["view", Math.log(0.8 / 0.2)],
  ])("%s", (name, value) => {
    expect(feature(name)).toBeCloseTo(value, 9);
  });

  it("count a pixel that is exactly at the threshold", () => {
    expect(feature("area", { ...input, pixelThreshold: 0.2 })).toBeCloseTo(0.1, 9);
    expect(feature("area", { ...input, pixelThreshold: 0.201 })).toBeCloseTo(0.01, 9);
  });

  it("keep certain networks finite", () => {
    expect(feature("network", { ...input, networkScores: [1] })).toBeCloseTo(Math.log((1 - 1e-6) / 1e-6), 6);
    expect(feature("network", { ...input, networkScores: [0] })).toBeCloseTo(Math.log(1e-6 / (1 - 1e-6)), 6);
  });

  it("take the tiles' score for the view's where there is none", () => {
    expect(feature("view", { ...input, viewScore: null })).toBeCloseTo(feature("network"), 9);
  });

  it("are a closed set", () => {
    expect(unknownFeatures({ features: ["q50", "charm", "toString"], weights: [], bias: 0 })).toEqual([
      "charm",
      "toString",
    ]);
  });
});

it.each(["copied", "recompressed"] as const)("is higher by what the release says where a region was %s", (trace) => {
  const logitOf = (found: boolean, weight?: number) => {
    const release = { features: ["max"], weights: [1], bias: -1, ...(weight === undefined ? {} : { [trace]: weight }) };
    const score = imageScore(release, { ...input, traces: { ...input.traces, [trace]: found } });
    return Math.log(score / (1 - score));
  };
  expect(logitOf(true, 2.5)).toBeCloseTo(2.5, 9);
  expect(logitOf(false, 2.5)).toBeCloseTo(0, 9);
  expect(logitOf(true)).toBeCloseTo(0, 9);
});

it("weighs features in the manifest's order", () => {
  const score = imageScore({ features: ["max", "area"], weights: [2, -10], bias: 0.5 }, input);
  expect(score).toBeCloseTo(1 / (1 + Math.exp(-(0.5 + 2 - 0.1))), 9);
});

it("judges by the two thresholds, both inclusive", () => {
  const thresholds = { tampered: 0.6, clear: 0.4 };
  expect(verdictOf(0.6, thresholds, [])).toBe("tampered");
  expect(verdictOf(0.5, thresholds, [])).toBe("inconclusive");
  expect(verdictOf(0.4, thresholds, [])).toBe("no_tampering_detected");
});

it("does not call an image clear that is too poor to tell, and still calls tampered what is", () => {
  const thresholds = { tampered: 0.6, clear: 0.4 };
  const caveat = (code: string) => [{ code, summary: "" }];
  expect(verdictOf(0.1, thresholds, caveat("extremely_compressed"))).toBe("inconclusive");
  expect(verdictOf(0.1, thresholds, caveat("heavily_compressed"))).toBe("no_tampering_detected");
  expect(verdictOf(0.9, thresholds, caveat("extremely_compressed"))).toBe("tampered");
});
