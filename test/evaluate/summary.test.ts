import { describe, expect, it } from "vitest";
import type { SetImage } from "./image-set.ts";
import type { PixelMetrics } from "./pixel-metrics.ts";
import { type AnsweredImage, cells, imageLevel } from "./summary.ts";
import { figuresTable, imageLevelLine, peersTable } from "./table.ts";

function answered(name: string, more: Partial<SetImage> & { f1?: number; auc?: number | null; score?: number } = {}) {
  const { f1, auc = 0.5, score = 0.5, ...image } = more;
  const metrics: PixelMetrics | null = f1 === undefined ? null : { f1, iou: f1 / 2, bestF1: f1, bestIou: f1 / 2, auc };
  return {
    image: {
      name,
      path: name,
      tampered: f1 !== undefined,
      maskPath: null,
      domain: "natural",
      set: "casia1",
      kind: "splice",
      ...image,
    },
    score,
    verdict: "inconclusive",
    metrics,
    seconds: 1,
    megapixels: 1,
  } satisfies AnsweredImage;
}

describe("cells", () => {
  const images = [
    answered("tampered/a.png", { f1: 0.2 }),
    answered("tampered/b.png", { f1: 0.6, kind: "copy-move" }),
    answered("tampered/c.png", { f1: 0.7, set: "comofod", kind: "copy-move", auc: null }),
    answered("tampered/d.png", { f1: 0.1, domain: "face", set: "imd2020" }),
    answered("authentic/a.png"),
  ];
  const table = cells(images, new Map([["ela", new Map([["tampered/a.png", peer(0.5)]])]]));
  const named = (title: string) => table.find((cell) => cell.title === title);

  it("means by domain, set and kind, authentic images left out", () => {
    expect(named("natural")?.images).toBe(3);
    expect(named("natural")?.metrics.f1?.mean).toBeCloseTo(0.5, 12);
    expect(named("natural / casia1")?.metrics.f1?.mean).toBeCloseTo(0.4, 12);
    expect(named("natural, copy-move")?.metrics.f1?.mean).toBeCloseTo(0.65, 12);
    expect(named("natural, all but copy-move")?.images).toBe(1);
    expect(named("face")?.images).toBe(1);
    expect(named("all")?.metrics.f1?.mean).toBeCloseTo(0.4, 12);
  });

  it("leaves an image without an AUC out of the mean AUC only", () => {
    expect(named("natural / comofod")?.metrics.auc).toBeNull();
    expect(named("natural / comofod")?.metrics.f1?.mean).toBe(0.7);
  });

  it("compares with a peer on the images that both have", () => {
    const [ela] = named("natural")?.peers ?? [];
    expect(ela?.means.f1).toBe(0.5);
    expect(ela?.difference.f1?.mean).toBeCloseTo(-0.3, 12);
    expect(named("face")?.peers).toEqual([]);
  });

  it("prints", () => {
    expect(figuresTable(table)).toContain("| natural / casia1");
    expect(peersTable(table)).toMatch(/natural +\| AUC +\| \.500 +\| \.500 +\| ela \+\.000/);
  });
});

describe("imageLevel", () => {
  it("uses natural images only, and pairs an image with its own original", () => {
    const level = imageLevel([
      answered("tampered/a.png", { f1: 0, score: 0.9 }),
      answered("tampered/b.png", { f1: 0, score: 0.3 }),
      answered("authentic/a.png", { score: 0.8 }),
      answered("authentic/z.png", { score: 0.1 }),
      answered("authentic/face.png", { score: 0.99, domain: "face" }),
    ]);
    expect(level).toEqual({
      tampered: 2,
      authentic: 2,
      auc: 0.75,
      truePositives: { rate: 0.5, threshold: 0.9 },
      pairs: 1,
      pairsWon: 1,
    });
    expect(imageLevelLine(level)).toContain("AUC .750");
  });
});

function peer(figure: number): PixelMetrics {
  return { f1: figure, iou: figure, bestF1: figure, bestIou: figure, auc: figure };
}
