/** The manifest of the stand-in for the interpretation network, and a release folder that has it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { artifactTitles, manipulationKinds } from "@omni-iml/shared/analysis";
import type { InterpretationManifest } from "@omni-iml/shared/release";

const bytes = readFileSync(new URL("../interpretation/stand-in/interpretation.onnx", import.meta.url));

export const standInManifest: InterpretationManifest = {
  version: "0.0.0",
  model: {
    file: "interpretation.onnx",
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.length,
    opset: 18,
  },
  side: 192,
  views: ["whole", "close_up", "detail"],
  facts: [
    "area_fraction",
    "box_width_fraction",
    "box_height_fraction",
    "mean_probability",
    "image_width",
    "image_height",
    "jpeg",
    "natural",
    "document",
    "face",
    "scene_text",
  ],
  kinds: [...manipulationKinds],
  artifacts: [...artifactTitles],
  thresholds: {
    kind: 0.4,
    confirmed: 0.25,
    artifacts: Object.fromEntries(artifactTitles.map((title) => [title, 0.7])) as Record<
      (typeof artifactTitles)[number],
      number
    >,
  },
  calibration: { kind: [], artifacts: [], confirmed: [] },
  figures: {},
};
