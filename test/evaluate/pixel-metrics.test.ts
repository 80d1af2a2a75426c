import { describe, expect, it } from "vitest";
import { countLevels, pixelMetrics } from "./pixel-metrics.ts";

function metrics(probability: number[], mask: number[]) {
  return pixelMetrics(countLevels(Uint8Array.from(probability), Uint8Array.from(mask)));
}

describe("pixelMetrics", () => {
  it("by hand: three hits, one false alarm, one miss", () => {
    const { f1, iou } = metrics([255, 200, 128, 127, 129, 0, 10, 20], [255, 255, 255, 255, 0, 0, 0, 0]);
    expect(iou).toBeCloseTo(3 / 5, 12);
    expect(f1).toBeCloseTo(6 / 8, 12);
  });

  it("takes 128 as the first level above one half, in map and mask", () => {
    expect(metrics([127, 0], [128, 127]).f1).toBe(0);
    expect(metrics([128, 0], [128, 127]).f1).toBe(1);
  });

  it("best threshold: a map that is right but too faint", () => {
    expect(metrics([90, 80, 30, 20], [255, 255, 0, 0])).toEqual({ f1: 0, iou: 0, bestF1: 1, bestIou: 1, auc: 1 });
  });

  it("does not reward an empty map with the threshold 0", () => {
    expect(metrics([0, 0, 0, 0], [255, 255, 255, 0])).toMatchObject({ bestF1: 0, bestIou: 0, auc: 0.5 });
  });

  it("AUC by hand, ties count half", () => {
    // Manipulated 3, 1; untouched 1, 0: 3>1, 3>0, 1=1, 1>0 are 3.5 of 4 pairs.
    expect(metrics([3, 1, 1, 0], [255, 255, 0, 0]).auc).toBe(3.5 / 4);
    expect(metrics([0, 255], [255, 0]).auc).toBe(0);
  });

  it("AUC agrees with counting every pair", () => {
    const probability = Array.from({ length: 60 }, (_, i) => (i * 37) % 23);
    const mask = probability.map((_, i) => ((i * 7) % 5 < 2 ? 255 : 0));
    let wins = 0;
    let pairs = 0;
    for (const [i, p] of probability.entries()) {
      for (const [j, q] of probability.entries()) {
        if (mask[i] !== 255 || mask[j] !== 0) continue;
        pairs++;
        wins += p > q ? 1 : p === q ? 0.5 : 0;
      }
    }
    expect(metrics(probability, mask).auc).toBeCloseTo(wins / pairs, 12);
  });

  it("has no AUC where the mask leaves nothing to tell apart", () => {
    expect(metrics([1, 2], [255, 255]).auc).toBeNull();
    expect(metrics([1, 2], [0, 0]).auc).toBeNull();
  });

  it("refuses a map of another size than the mask", () => {
    expect(() => metrics([1, 2, 3], [0, 0])).toThrow(RangeError);
  });
});
