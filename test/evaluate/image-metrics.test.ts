import { describe, expect, it } from "vitest";
import { pairsWon, scoreAuc, truePositiveRate } from "./image-metrics.ts";

describe("scoreAuc", () => {
  it("by hand", () => {
    // .9 beats both, .4 beats .2 and ties with .4: 3.5 of 4.
    expect(scoreAuc([0.9, 0.4], [0.4, 0.2])).toBe(3.5 / 4);
  });
});

describe("truePositiveRate", () => {
  const authentic = [0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.95];
  it("lets at most a tenth of the authentic images through", () => {
    // At .6 one of ten authentic images is called tampered; at .45 it would be two.
    expect(truePositiveRate([0.99, 0.7, 0.6, 0.45], authentic, 0.1)).toEqual({ rate: 0.75, threshold: 0.6 });
  });
  it("is zero where every threshold costs more", () => {
    expect(truePositiveRate([0.04], authentic, 0.1).rate).toBe(0);
  });
});

describe("pairsWon", () => {
  it("compares an image only with its own original", () => {
    expect(
      pairsWon([
        [0.9, 0.8],
        [0.2, 0.1],
        [0.3, 0.3],
        [0.1, 0.2],
      ]),
    ).toBe(2.5 / 4);
  });
});
