/** Regions through a real session: a graph that computes its answers from what it is shown (stand-in/make.py). */
import { fileURLToPath } from "node:url";
import { artifactTitles, manipulationKinds } from "@omni-iml/shared/analysis";
import type { InterpretationManifest } from "@omni-iml/shared/release";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import type { RegionText } from "../evidence/text/regions.ts";
import { decodeImage } from "../image/decode.ts";
import { findRegions } from "../result/regions.ts";
import { standInManifest } from "../testing/interpretation.ts";
import { english } from "../wording/en.ts";
import { certaintyOf } from "./certainty.ts";
import type { Interpreter } from "./contract.ts";
import { calibrated, interpretRegions, mostInterpreted } from "./interpret.ts";
import { loadInterpreter } from "./session.ts";

const file = fileURLToPath(new URL("./stand-in/interpretation.onnx", import.meta.url));
let interpreter: Interpreter;

beforeAll(async () => {
  interpreter = await loadInterpreter(file, "cpu", { threads: 1, mostTogether: mostInterpreted });
});

/** A grey image with squares of the given sides in a row, all of them marked, and what is said of them. */
async function interpret(
  sides: readonly number[],
  changes: Partial<InterpretationManifest> = {},
  domain = [0.9, 0.1, 0, 0],
  score = 1,
  texts: ReadonlyMap<string, RegionText> = new Map(),
  copied: readonly string[] = [],
) {
  const [width, height] = [1200, 300];
  const bytes = await sharp({ create: { width, height, channels: 3, background: "#808080" } })
    .png()
    .toBuffer();
  const map = { data: new Uint8Array(width * height), width, height };
  let left = 10;
  for (const side of sides) {
    for (let y = 20; y < 20 + side; y++) map.data.fill(204, y * width + left, y * width + left + side);
    left += side + 10;
  }
  const regions = findRegions(map, 0.5, 0);
  const located = { image: await decodeImage(bytes, 1e6), map, threshold: 0.5, domain, score, copied: new Set(copied) };
  return interpretRegions(regions, located, {
    manifest: { ...standInManifest, ...changes },
    interpreter,
    wording: english,
    readText: async (asked) => new Map([...texts].filter(([id]) => asked.some((region) => region.id === id))),
  });
}

describe("interpretation", () => {
  it("says of each region what the network says of it, from the titles' own thresholds on", async () => {
    const [large, small] = await interpret([120, 60]);
    // The close-up's side is 1.5 times the region's, or 64 pixels.
    expect(large?.interpretation?.true_region).toBeCloseTo(1 / 1.5 ** 2, 2);
    expect(small?.interpretation?.true_region).toBeCloseTo((60 / 90) ** 2, 2);
    expect(large?.manipulation).toBe(manipulationKinds[1]);
    expect(large?.interpretation?.manipulation_probability).toBeCloseTo(0.9, 5);
    // The stand-in's artifacts are the facts: width and height in pixels count as certain, the domain as .9.
    expect(large?.artifacts.slice(0, 2).sort()).toEqual([artifactTitles[4], artifactTitles[5]].sort());
    expect(large?.interpretation?.reasons.map(({ artifact }) => artifact)).toEqual(large?.artifacts);
    expect(large?.artifacts).toContain(artifactTitles[3]);
    expect(large?.artifacts).not.toContain(artifactTitles[0]);
    const stricter = { ...standInManifest.thresholds.artifacts, [artifactTitles[3]]: 0.81 };
    const [again] = await interpret([120, 60], { thresholds: { ...standInManifest.thresholds, artifacts: stricter } });
    expect(again?.artifacts).not.toContain(artifactTitles[3]);
  });

  it("looks at the largest regions only, and leaves the others as they are", async () => {
    const sides = [40, 41, 42, 43, 44, 45, 46, 47, 48, 20];
    const regions = await interpret(sides);
    expect(regions).toHaveLength(sides.length);
    const seen = regions.filter(({ interpretation }) => interpretation !== null);
    expect(seen).toHaveLength(mostInterpreted);
    const left = regions.filter(({ interpretation }) => interpretation === null).map(({ bbox }) => bbox.width);
    expect(left.sort()).toEqual([20, 40]);
  });

  it("claims neither kind nor artifacts of a region that it takes for a false alarm", async () => {
    const [region] = await interpret([120], { thresholds: { ...standInManifest.thresholds, confirmed: 0.6 } });
    expect(region).toMatchObject({ manipulation: null, artifacts: [] });
    expect(region?.interpretation?.reasons).toEqual([]);
  });

  it("is never surer of a region than the score is of the image", async () => {
    const [region] = await interpret([120], {}, undefined, 0.42);
    expect(region?.interpretation).toMatchObject({ true_region: 0.42, certainty: "uncertain" });
    const [clear] = await interpret([120], {}, undefined, 0.2);
    expect(clear).toMatchObject({ manipulation: null, artifacts: [], interpretation: { certainty: "unlikely" } });
  });

  it("says nothing of the kind where no kind is likely enough", async () => {
    expect((await interpret([120], {}, [0.5, 0.5, 0, 0]))[0]?.manipulation).not.toBeNull();
    const unsure = { ...standInManifest.thresholds, kind: 0.6 };
    expect((await interpret([120], { thresholds: unsure }, [0.5, 0.5, 0, 0]))[0]?.manipulation).toBeNull();
  });

  it("has words that follow the calibrated probability", async () => {
    const rows = {
      ...standInManifest.calibration,
      confirmed: [
        [0, 0.5, 10],
        [1, 1, 10],
      ] as [number, number, number][],
    };
    const [region] = await interpret([120], { calibration: rows });
    expect(region?.interpretation?.true_region).toBeCloseTo(0.5 + 0.5 / 1.5 ** 2, 2);
    expect(region?.interpretation?.certainty).toBe("likely");
    expect(region?.interpretation?.description).toContain("was probably manipulated");
  });

  it("takes nothing that was copied within the image for something from another one", async () => {
    const kinds = [...standInManifest.kinds];
    // What the stand-in is surest of is the second kind of the manifest.
    [kinds[0], kinds[1]] = ["copy_move", "splice"];
    expect((await interpret([120], { kinds }))[0]?.manipulation).toBe("splice");
    const [region] = await interpret([120], { kinds }, undefined, 1, undefined, ["r1"]);
    expect(region?.manipulation).not.toBe("splice");
    expect(region?.interpretation?.manipulation_probability ?? 0).toBeLessThanOrEqual(1);
  });

  it("has the text read of what it takes for text, and of nothing else", async () => {
    const texts = new Map([["r1", { text: "942.08", confidence: 0.9 }]]);
    const kinds = [...standInManifest.kinds];
    // The kind that the stand-in names is the second one of the manifest.
    const at = kinds.indexOf("text_replace");
    [kinds[1], kinds[at]] = ["text_replace", kinds[1] ?? "splice"];
    const [region] = await interpret([120], { kinds }, undefined, 1, texts);
    expect(region).toMatchObject({ manipulation: "text_replace", content: "942.08", content_confidence: 0.9 });
    expect(region?.interpretation?.description).toContain("The text there reads “942.08”.");
    const [other] = await interpret([120], {}, undefined, 1, texts);
    expect(other).toMatchObject({ manipulation: "copy_move", content: null, content_confidence: null });
  });

  it("of an image without regions is nothing", async () => {
    expect(await interpret([])).toEqual([]);
  });
});

describe("calibration", () => {
  const rows: [number, number, number][] = [
    [0.2, 0.1, 50],
    [0.6, 0.7, 50],
  ];

  it("is linear between what was measured, and holds beyond it", () => {
    expect(calibrated(0.4, rows)).toBeCloseTo(0.4);
    expect(calibrated(0.5, rows)).toBeCloseTo(0.55);
    expect(calibrated(0.1, rows)).toBe(0.1);
    expect(calibrated(0.9, rows)).toBe(0.7);
    expect(calibrated(0.9, [])).toBe(0.9);
  });

  it("has a word for each range", () => {
    expect([0.96, 0.95, 0.94, 0.8, 0.6, 0.59, 0.4, 0.39].map(certaintyOf)).toEqual([
      "almost_certain",
      "almost_certain",
      "very_likely",
      "very_likely",
      "likely",
      "uncertain",
      "uncertain",
      "unlikely",
    ]);
  });
});
