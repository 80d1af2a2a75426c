/** What has to stand in a report: everything that the record says, in words, and nothing that it does not say. */
import { fileURLToPath } from "node:url";
import { analysisOptions, type Finding, type Region } from "@omni-iml/shared/analysis";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { pixelFinding, region } from "../testing/finding.ts";
import { english } from "../wording/en.ts";
import { contentOf, mostRows } from "./content.ts";
import { htmlReport } from "./html.ts";
import { recordOf } from "./record.ts";

const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const { name, version, release, precision } = manifest;
const none = { image: new Uint8Array(0), overlay: new Uint8Array(0), crops: [] };
const sha256 = (digit: string) => digit.repeat(64);

const told: Region = {
  ...region,
  id: "r1",
  bbox: { x: 1200, y: 340, width: 96, height: 48 },
  area_fraction: 0.12,
  manipulation: "text_replace",
  artifacts: ["font"],
  position: { absolute: "upper left", relative: "left of r2" },
  content: "942.08",
  content_confidence: 0.91,
  interpretation: {
    source: "builtin",
    certainty: "very_likely",
    true_region: 0.87,
    manipulation_probability: 0.7,
    reasons: [{ artifact: "font", probability: 0.62, description: "its letters differ" }],
    description: "",
  },
};

function recorded(changes: Partial<Finding> = {}, options: object = {}) {
  return recordOf({
    analysis: "an_1",
    attempt: 2,
    finding: {
      ...pixelFinding,
      image: { ...pixelFinding.image, sha256: sha256("a"), bytes: 1_234_567 },
      model: { name, version, release, precision, provider: "cpu" },
      regions: [told],
      explanation: "The image was very likely manipulated.",
      ...changes,
    },
    options: analysisOptions.parse(options),
    manifest,
    languageModel: null,
    files: { overlay: { bytes: 4321, sha256: sha256("b"), content_type: "image/png" } },
    now: new Date("2026-11-26T01:02:03.456Z"),
  });
}

const pageOf = (record: ReturnType<typeof recorded>) =>
  htmlReport(contentOf(record, english), none).then((page) => page.replaceAll("\u00a0", " "));

it("is verdict, regions with their reasons, evidence, caveats, hashes, versions and time", async () => {
  const record = recorded({
    evidence: [
      {
        code: "double_compression",
        family: "compression",
        severity: "low",
        summary: "It was a JPEG before.",
        meaning: "It was saved again.",
        next_step: "Ask for that file.",
        details: {},
      },
      {
        code: "jpeg_ghost",
        family: "compression",
        severity: "medium",
        summary: "r1 keeps other traces.",
        meaning: "It came from elsewhere.",
        next_step: null,
        details: {},
      },
    ],
    input_quality: [{ code: "small", summary: "The image is small." }],
    degraded_checks: [{ check: "provenance", reason: "The file is too large." }],
  });
  const page = await pageOf(record);
  for (const words of [
    "Tampering found",
    "90 %",
    "The image was very likely manipulated.",
    "upper left, left of r2",
    "96 × 48 px at (1 200, 340)",
    "12 % of the image",
    "very likely manipulated (87 %)",
    "probably text that was put in the place of other text",
    "its letters differ (62 %)",
    "The text there reads “942.08” (read with 91 % confidence).",
    "It was a JPEG before.",
    "It was saved again.",
    "Ask for that file.",
    "The image is small.",
    "The check “provenance” could not be completed: The file is too large.",
    "“No tampering detected” does not mean that the image is authentic",
    "2026-11-26 01:02:03 UTC",
    "1 234 567 B",
    sha256("a"),
    sha256("b"),
    manifest.model.sha256,
    release,
    `${name} ${version}, ${precision}`,
    `node ${process.versions.node}`,
    "onnxruntime ",
  ]) {
    expect(page).toContain(words);
  }
  // What weighs most is read first.
  expect(page.indexOf("r1 keeps other traces.")).toBeLessThan(page.indexOf("It was a JPEG before."));
});

it("says so where there is nothing to say, and why", async () => {
  const empty = await pageOf(
    recorded({ regions: [], verdict: "no_tampering_detected", score: 0.1 }, { evidence: false }),
  );
  expect(empty).toContain("No region reached the threshold.");
  expect(empty).toContain("Evidence besides the pixels was not asked for.");
  expect(empty).toContain("Nothing about the input limits this analysis");
  const asked = await pageOf(
    recorded({ regions: [{ ...told, manipulation: null, artifacts: [], interpretation: null }] }),
  );
  expect(asked).toContain("not assessed");
  expect(asked).toContain("The checks besides the pixels found nothing to report.");
});

it("claims nothing of what is taken for a false alarm", async () => {
  const doubted: Region = {
    ...told,
    manipulation: null,
    artifacts: [],
    content: null,
    interpretation: {
      source: "builtin",
      certainty: "unlikely",
      true_region: 0.2,
      manipulation_probability: null,
      reasons: [],
      description: "",
    },
  };
  const [row] = contentOf(recorded({ regions: [doubted] }), english).regions;
  expect(row).toMatchObject({ what: null, certainty: "probably a false alarm (20 % that it is not)", reasons: [] });
});

it("counts the regions that have no row", () => {
  const regions = Array.from({ length: mostRows + 3 }, (_, i) => ({ ...told, id: `r${i + 1}` }));
  const { regions: rows, regionsNote } = contentOf(recorded({ regions }), english);
  expect([rows.length, regionsNote]).toEqual([mostRows, "3 smaller regions are in the JSON report."]);
});
