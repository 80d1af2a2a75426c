import { describe, expect, it } from "vitest";
import type { SetImage } from "./image-set.ts";
import type { PixelMetrics } from "./pixel-metrics.ts";
import { type AnsweredImage, againstAsIs, cells, gateShares, imageLevels } from "./summary.ts";
import { conditionsTable, figuresTable, gateTable, imageLevelTable, peersTable } from "./table.ts";

function answered(
  name: string,
  more: Partial<SetImage> & { f1?: number; auc?: number | null; score?: number; modality?: "rgb" | "fused" } = {},
) {
  const { f1, auc = 0.5, score = 0.5, modality = "rgb", ...image } = more;
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
      original: null,
      ...image,
    },
    score,
    verdict: "inconclusive",
    modality,
    flagged: 0.1,
    metrics,
    seconds: 1,
    megapixels: 1,
    map: null,
  } satisfies AnsweredImage;
}

describe("cells", () => {
  const images = [
    answered("tampered/a.png", { f1: 0.2 }),
    answered("tampered/b.png", { f1: 0.6, kind: "copy_move" }),
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

describe("imageLevels", () => {
  const levels = imageLevels([
    answered("tampered/a.png", { f1: 0, score: 0.9 }),
    answered("tampered/b.png", { f1: 0, score: 0.3 }),
    answered("authentic/a.png", { score: 0.8 }),
    answered("authentic/z.png", { score: 0.1 }),
    answered("authentic/face.png", { score: 0.99, domain: "face" }),
  ]);

  it("stays within a domain, and leaves out one that has no tampered image", () => {
    expect(levels.map(({ domain }) => domain)).toEqual(["natural"]);
    expect(levels[0]?.all).toMatchObject({ tampered: 2, authentic: 2, auc: { mean: 0.75 }, threshold: 0.9 });
    expect(levels[0]?.all.truePositives?.mean).toBe(0.5);
  });

  it("looks at tampered images and their own originals alone", () => {
    expect(levels[0]?.pairs).toMatchObject({ count: 1, tampered: 1, authentic: 1, auc: { mean: 1 }, won: { mean: 1 } });
  });

  it("prints", () => {
    expect(imageLevelTable(levels)).toMatch(/natural +\| 2 \+ 2 +\| \.750/);
    expect(imageLevelTable(levels)).toMatch(/natural, in pairs +\| 1 \+ 1/);
  });
});

describe("gateShares", () => {
  it("counts the fused modality by domain", () => {
    const gate = gateShares([
      answered("a", { modality: "fused" }),
      answered("b"),
      answered("c", { f1: 0.1, modality: "fused", domain: "document" }),
    ]);
    expect(gate).toEqual([
      { domain: "natural", images: 2, fused: 0.5 },
      { domain: "document", images: 1, fused: 1 },
    ]);
    const table = gateTable([
      { condition: "as-is", gate },
      { condition: "jpeg70", gate: [] },
    ]);
    expect(table).toMatch(/natural +\| 50 % of 2 +\| –/);
  });
});

describe("againstAsIs", () => {
  it("compares an image with itself, and leaves out what was answered but once", () => {
    const before = [answered("a", { f1: 0.5 }), answered("b", { f1: 0.3 }), answered("c", { f1: 0.9 })];
    const after = [answered("b", { f1: 0.2 }), answered("a", { f1: 0.2 }), answered("z", { f1: 0.9 })];
    const [cell] = againstAsIs(before, after);
    expect(cell?.f1?.mean).toBeCloseTo(0.2, 12);
    expect(cell?.f1Difference?.mean).toBeCloseTo(-0.2, 12);
    expect(conditionsTable([{ condition: "jpeg70", against: cell ? [cell] : [] }])).toContain("-.200 [-.300, -.100]");
  });
});

function peer(figure: number): PixelMetrics {
  return { f1: figure, iou: figure, bestF1: figure, bestIou: figure, auc: figure };
}
