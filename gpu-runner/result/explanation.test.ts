import type { Finding, Region } from "@omni-iml/shared/analysis";
import { describe, expect, it } from "vitest";
import { certaintyOf } from "../interpretation/certainty.ts";
import { english } from "../wording/en.ts";
import type { WordedRegion } from "../wording/wording.ts";
import { type Explained, explain } from "./explanation.ts";

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
    content_confidence: null,
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
  evidence: [],
};

/** A region of which the interpretation says what it says of such a one. */
function interpretedAt(region: Region, true_region: number, changes: Partial<WordedRegion> = {}): Region {
  const certainty = certaintyOf(true_region);
  const worded = { ...region, certainty, kind: null, artifacts: [], ...changes };
  return {
    ...region,
    manipulation: worded.kind?.name ?? null,
    artifacts: [...worded.artifacts],
    interpretation: {
      source: "builtin",
      certainty,
      true_region,
      manipulation_probability: null,
      reasons: [],
      description: english.region(worded),
    },
  };
}

describe("the explanation", () => {
  it("cites regions, and is as certain as the score", () => {
    expect(explain(base)).toBe(
      "The image was almost certainly manipulated (score 97 %): r1 at the upper left (12 % of the image) and r2 at the centre (less than 1 % of the image). It was judged as a document, by its pixels and its JPEG frequency traces.",
    );
    expect(explain({ ...base, score: 0.83 })).toContain("very likely manipulated");
    expect(explain({ ...base, score: 0.65 })).toContain("probably manipulated");
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
      /^The analysis is inconclusive \(score 50 %\): .* Look at r1 .* Bear in mind: The image is small\.$/,
    );
  });

  it("says of each region what the interpretation found, as surely as it is", () => {
    const [first, second] = base.regions as [Region, Region];
    const regions = [
      interpretedAt({ ...first, position: { absolute: "upper left", relative: "left of r2" } }, 0.55),
      interpretedAt({ ...second, content: "TOTAL 48.00" }, 0.9, {
        kind: { name: "text_replace", certainty: "likely" },
        artifacts: ["font", "noise"],
      }),
    ];
    expect(explain({ ...base, regions })).toBe(
      "The image was almost certainly manipulated (score 97 %). r2 (at the centre; less than 1 % of the image) was very likely manipulated. It is probably text that was put in the place of other text. Its letters differ in shape, weight or size from those around it and its noise differs from that around it. The text there reads “TOTAL 48.00”. r1 (at the upper left, left of r2; 12 % of the image) may have been manipulated or may be a false alarm. It was judged as a document, by its pixels and its JPEG frequency traces.",
    );
  });

  it("has one voice where the image is suspicious and none of its regions is confirmed", () => {
    const regions = base.regions.map((region) => interpretedAt(region, 0.1));
    expect(explain({ ...base, regions })).toMatch(
      /^The image as a whole was almost certainly manipulated \(score 97 %\), but where could not be confirmed: seen by itself, each of the regions that react is more likely a false alarm \(r1 at the upper left \(12 % of the image\) and r2 .*\)\. It was judged/,
    );
    expect(explain({ ...base, regions: regions.slice(0, 1), verdict: "inconclusive", score: 0.5 })).toMatch(
      /^The analysis is inconclusive \(score 50 %\): seen by itself, the one region that reacts is more likely a false alarm/,
    );
  });

  it("does not make a case of what is taken for a false alarm, or of an image that is not suspicious", () => {
    const regions = base.regions.map((region, i) => interpretedAt(region, i === 0 ? 0.9 : 0.1));
    expect(explain({ ...base, regions })).not.toContain("r2 ");
    expect(explain({ ...base, regions })).toContain("One further region is probably a false alarm.");
    const clear = explain({ ...base, regions, verdict: "no_tampering_detected", score: 0.2 });
    expect(clear).not.toContain("very likely manipulated");
    expect(clear).toContain("r1 at the upper left (12 % of the image)");
  });

  it("names what weighty checks besides the pixels found, and no other", () => {
    const item = { family: "metadata", meaning: "", next_step: null, details: {} };
    const evidence: Finding["evidence"] = [
      { ...item, code: "a", severity: "low", summary: "An editor wrote the file." },
      { ...item, code: "b", severity: "medium", summary: "The thumbnail shows another picture." },
      { ...item, code: "c", severity: "high", summary: "The signature is broken." },
    ];
    const said = explain({ ...base, evidence });
    expect(said).toContain(
      "Besides the pixels: The signature is broken. Besides the pixels: The thumbnail shows another picture.",
    );
    expect(said).not.toContain("editor");
  });

  it("marks a language model's words as such, and keeps the certainty the module's", () => {
    const described = base.regions.slice(0, 1).map((region) => interpretedAt(region, 0.9));
    const regions = described.map(({ interpretation, ...region }) => ({
      ...region,
      interpretation: interpretation && { ...interpretation, source: "vlm" as const, description: "A second sun." },
    }));
    expect(explain({ ...base, regions }, { languageModel: "some-vl" })).toContain(
      "was very likely manipulated. In the words of the language model some-vl: “A second sun.”",
    );
  });
});
