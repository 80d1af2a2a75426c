/** No claim without a field behind it, whatever the fields are. */
import {
  absolutePositions,
  artifactTitles,
  certainties,
  type Finding,
  manipulationKinds,
  type Region,
  relations,
} from "@omni-iml/shared/analysis";
import fc from "fast-check";
import { expect, it } from "vitest";
import { explain } from "../result/explanation.ts";
import { english } from "./en.ts";
import type { WordedRegion } from "./wording.ts";

const worded: fc.Arbitrary<WordedRegion> = fc.record({
  id: fc.integer({ min: 1, max: 20 }).map((n) => `r${n}`),
  area_fraction: fc.double({ min: 0.0001, max: 1, noNaN: true }),
  position: fc.record({
    absolute: fc.constantFrom(...absolutePositions),
    relative: fc.option(
      fc.tuple(fc.constantFrom(...relations), fc.integer({ min: 21, max: 40 })).map(([how, n]) => `${how} r${n}`),
    ),
  }),
  content: fc.option(fc.stringMatching(/^[A-Z0-9]{3,9}$/)),
  certainty: fc.option(fc.constantFrom(...certainties)),
  kind: fc.option(
    fc.record({ name: fc.constantFrom(...manipulationKinds), certainty: fc.constantFrom(...certainties) }),
  ),
  artifacts: fc.uniqueArray(fc.constantFrom(...artifactTitles)),
});

const says = (text: string, phrase: string) => text.toLowerCase().includes(phrase.toLowerCase());
const ids = (text: string) => new Set(text.match(/\br\d+\b/g) ?? []);

it("of a region nothing is said but its own kind, artifacts, place and text", () => {
  fc.assert(
    fc.property(worded, (region) => {
      const text = english.region(region);
      for (const kind of manipulationKinds) {
        if (says(text, english.kinds[kind])) expect(region.kind?.name).toBe(kind);
      }
      for (const title of artifactTitles) {
        if (says(text, english.artifacts[title])) expect(region.artifacts).toContain(title);
      }
      const { absolute, relative } = region.position;
      const [named] = absolutePositions
        .filter((place) => text.includes(`at the ${place}`))
        .toSorted((a, b) => b.length - a.length);
      expect(named ?? "most of the image").toBe(absolute);
      expect(ids(text)).toEqual(new Set([region.id, ...(relative?.match(/r\d+$/) ?? [])]));
      expect(text.match(/“(.*?)”/)?.[1] ?? null).toBe(region.content);
      // Of what is taken for a false alarm, or was not looked at, nothing is claimed.
      if (region.certainty === null || region.certainty === "unlikely") {
        expect(text).not.toMatch(/ was .* manipulated|it is /i);
        for (const title of artifactTitles) expect(says(text, english.artifacts[title])).toBe(false);
      } else if (region.certainty === "uncertain") {
        expect(text).toContain("may have been manipulated or may be a false alarm");
      }
    }),
    { numRuns: 300 },
  );
});

function regionOf({ certainty, kind, ...own }: WordedRegion): Region {
  return {
    ...own,
    bbox: { x: 0, y: 0, width: 1, height: 1 },
    polygon: [],
    score: 0.9,
    manipulation: kind?.name ?? null,
    artifacts: [...own.artifacts],
    content_confidence: null,
    interpretation: certainty && {
      source: "builtin",
      certainty,
      true_region: { almost_certain: 0.97, very_likely: 0.85, likely: 0.7, uncertain: 0.5, unlikely: 0.1 }[certainty],
      manipulation_probability: null,
      reasons: [],
      description: english.region({ ...own, certainty, kind }),
    },
  };
}

const finding = fc.record({
  verdict: fc.constantFrom<Finding["verdict"]>("tampered", "inconclusive", "no_tampering_detected"),
  score: fc.double({ min: 0, max: 1, noNaN: true }),
  regions: fc.uniqueArray(worded, { maxLength: 5, selector: ({ id }) => id }).map((all) => all.map(regionOf)),
  modality: fc.constantFrom<Finding["modality"]>("rgb", "fused"),
  jpeg: fc.boolean(),
});

it("an explanation cites regions that there are, names kinds and artifacts of theirs, and calls nothing authentic", () => {
  fc.assert(
    fc.property(finding, ({ jpeg, regions, ...judged }) => {
      const image: Finding["image"] = {
        sha256: "",
        format: jpeg ? "jpeg" : "png",
        width: 300,
        height: 200,
        bytes: 1,
        orientation: 1,
        frames: 1,
        jpeg: jpeg ? { quality: 90, subsampling: "4:2:0", progressive: false } : null,
      };
      const domain = { name: "natural" as const, confidence: 1 };
      const text = explain({ ...judged, image, domain, regions, input_quality: [], evidence: [] });
      const known = new Set(regions.flatMap(({ id, position }) => [id, ...(position.relative?.match(/r\d+$/) ?? [])]));
      expect([...ids(text)].filter((id) => !known.has(id))).toEqual([]);
      for (const kind of manipulationKinds) {
        if (says(text, english.kinds[kind])) expect(regions.map(({ manipulation }) => manipulation)).toContain(kind);
      }
      for (const title of artifactTitles) {
        if (says(text, english.artifacts[title]))
          expect(regions.flatMap(({ artifacts }) => artifacts)).toContain(title);
      }
      if (judged.verdict !== "tampered") expect(text).not.toMatch(/^The image (as a whole )?was /);
      if (judged.verdict === "no_tampering_detected") expect(text).toContain("that is not proof of authenticity");
      expect(text).not.toMatch(/\bis (authentic|genuine|unaltered)\b/i);
      if (!jpeg) expect(text).not.toContain("JPEG");
    }),
    { numRuns: 300 },
  );
});
