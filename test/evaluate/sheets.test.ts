import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { contactSheet, shrunk, worstFalseAlarms, worstMisses } from "./sheets.ts";
import type { AnsweredImage } from "./summary.ts";

async function answered(
  name: string,
  figures: { f1?: number; auc?: number; score?: number; path?: string; map?: Uint8Array },
): Promise<AnsweredImage> {
  const { f1, auc = 0.5, score = 0.5, path = name, map = null } = figures;
  const tampered = f1 !== undefined;
  return {
    image: {
      name,
      path,
      tampered,
      maskPath: tampered ? path : null,
      domain: "natural",
      set: "s",
      kind: "splice",
      original: null,
    },
    score,
    verdict: "inconclusive",
    modality: "rgb",
    flagged: 0.2,
    metrics: f1 === undefined ? null : { f1, iou: f1, bestF1: f1, bestIou: f1, auc },
    seconds: 1,
    megapixels: 1,
    map,
  };
}

describe("the worst", () => {
  it("misses are tampered images of the lowest F1, then AUC", async () => {
    const images = await Promise.all([
      answered("b", { f1: 0, auc: 0.4 }),
      answered("c", { f1: 0.2 }),
      answered("a", { f1: 0, auc: 0.1 }),
      answered("authentic", { score: 1 }),
    ]);
    expect(worstMisses(images, 2).map(({ image }) => image.name)).toEqual(["a", "b"]);
  });

  it("false alarms are authentic images of the highest score", async () => {
    const images = await Promise.all([
      answered("a", { score: 0.4 }),
      answered("b", { score: 0.9 }),
      answered("tampered", { f1: 0, score: 1 }),
    ]);
    expect(worstFalseAlarms(images, 5).map(({ image }) => image.name)).toEqual(["b", "a"]);
  });
});

describe("contactSheet", () => {
  it("shows image, truth and map beside each other, and what they are called", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sheets-"));
    const path = join(folder, "red & blue <1>.png");
    const red = await sharp({ create: { width: 90, height: 90, channels: 3, background: "#f00" } })
      .png()
      .toBuffer();
    await writeFile(path, red);
    const white = await sharp({ create: { width: 500, height: 500, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    const image = await answered("red & blue <1>.png", { f1: 0.25, path, map: await shrunk(white) });
    const sheet = await contactSheet([image, image, image]);
    if (sheet === null) throw new Error("no sheet");
    const { data, info } = await sharp(sheet).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([2 * 3 * 192, 2 * (192 + 34)]);
    const pixel = (x: number, y: number) => [...data.subarray((y * info.width + x) * info.channels).subarray(0, 3)];
    expect(pixel(96, 96)).toEqual([255, 0, 0]);
    expect(pixel(2 * 192 + 96, 96)).toEqual([255, 255, 255]);
    expect(pixel(3 * 192 + 96, 226 + 96)).toEqual([34, 34, 34]);
    // Something is written below the pictures.
    const below = data.subarray(194 * info.width * info.channels, 224 * info.width * info.channels);
    expect(below.some((level) => level > 150)).toBe(true);
  });

  it("is none where nothing went wrong", async () => {
    expect(await contactSheet([])).toBeNull();
  });
});
