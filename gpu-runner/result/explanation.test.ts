import type { Finding, Region } from "@omni-iml/shared/analysis";
import { describe, expect, it } from "vitest";
import { type Explained, explain } from "./explanation.ts";
import { inputCaveats } from "./input-quality.ts";

function regionAt(id: string, absolute: Region["position"]["absolute"], area_fraction: number): Region {
  return {
    id,
    bbox: { x: 0, y: 0, width: 1, height: 1 },
    polygon: [],
    area_fraction,
    score: 0.9,
    manipulation: null,
    artifacts: [],
    position: { absolute, relative: null },
    content: null,
    interpretation: null,
  };
}

const image: Finding["image"] = {
  sha256: "",
  format: "jpeg",
  width: 3000,
  height: 2000,
  bytes: 1,
  orientation: 1,
  frames: 1,
  jpeg: { quality: 92, subsampling: "4:2:0", progressive: false },
};

const base: Explained = {
  image,
  verdict: "tampered",
  score: 0.97,
  domain: { name: "document", confidence: 0.9 },
  modality: "fused",
  regions: [regionAt("r1", "upper left", 0.12), regionAt("r2", "centre", 0.004)],
  input_quality: [],
};

describe("the explanation", () => {
  it("cites regions, and is as certain as the score", () => {
    expect(explain(base)).toBe(
      "The image has almost certainly been manipulated (score 97 %): r1 at the upper left (12 % of the image) and r2 at the centre (less than 1 % of the image). It was judged as a document, by its pixels and its JPEG frequency traces together.",
    );
    expect(explain({ ...base, score: 0.83 })).toContain("very likely been manipulated");
    expect(explain({ ...base, score: 0.65 })).toContain("probably been manipulated");
  });

  it("counts what it does not describe", () => {
    const regions = [1, 2, 3, 4, 5].map((i) => regionAt(`r${i}`, "centre", 0.1));
    expect(explain({ ...base, regions })).toContain("r3 at the centre (10 % of the image) and 2 smaller ones");
  });

  it("never calls an image authentic", () => {
    const clear = explain({ ...base, verdict: "no_tampering_detected", score: 0.08, regions: [], modality: "rgb" });
    expect(clear).toBe(
      "No tampering was detected (score 8 %); that is not proof of authenticity. It was judged as a document, by its pixels alone, without frequency traces.",
    );
  });

  it("does not speak of JPEG traces where there is no JPEG", () => {
    const png = explain({ ...base, image: { ...image, format: "png", jpeg: null } });
    expect(png).toContain("It was judged as a document, by its pixels and their frequencies.");
  });

  it("names the first caveat", () => {
    const input_quality = [{ code: "small", summary: "The image is small." }];
    expect(explain({ ...base, verdict: "inconclusive", score: 0.5, input_quality })).toMatch(
      /^The analysis is inconclusive \(score 50 %\)\. Look at r1 .* Bear in mind: The image is small\.$/,
    );
  });
});

describe("caveats", () => {
  const codes = (changes: Partial<Finding["image"]>, fromCamera = false) =>
    inputCaveats({ ...image, ...changes }, fromCamera).map(({ code }) => code);

  it("are none for a large, lightly compressed JPEG", () => {
    expect(codes({})).toEqual([]);
  });

  it("name what makes an answer less certain", () => {
    expect(codes({ height: 200 })).toEqual(["small"]);
    expect(codes({ jpeg: { quality: 40, subsampling: null, progressive: false } })).toEqual(["heavily_compressed"]);
    expect(codes({ jpeg: { quality: null, subsampling: null, progressive: false } })).toEqual([]);
    expect(codes({ format: "png", jpeg: null, width: 1170, height: 2532 })).toEqual(["not_jpeg", "screenshot_like"]);
    expect(codes({ width: 2048, height: 1536 })).toEqual(["possibly_resized"]);
    expect(codes({ width: 2048, height: 1536 }, true)).toEqual([]);
    expect(codes({ frames: 3 })).toEqual(["first_of_several"]);
  });
});
