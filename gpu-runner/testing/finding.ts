/** What the inference process finds, where a test is about what is made of it. */
import type { Region } from "@omni-iml/shared/analysis";
import type { PixelFinding } from "../inference/protocol.ts";

export const region: Region = {
  id: "r1",
  bbox: { x: 0, y: 0, width: 9, height: 9 },
  polygon: [],
  area_fraction: 0.1,
  score: 0.9,
  manipulation: null,
  artifacts: [],
  position: { absolute: "centre", relative: null },
  content: null,
  content_confidence: null,
  interpretation: null,
};
export const pixelFinding: PixelFinding = {
  image: { sha256: "", format: "png", width: 9, height: 9, bytes: 1, orientation: 1, frames: 1, jpeg: null },
  verdict: "tampered",
  score: 0.9,
  threshold: 0.5,
  domain: { name: "natural", confidence: 1 },
  modality: "rgb",
  regions: [region],
  explanation: "built in",
  evidence: [],
  input_quality: [],
  degraded_checks: [],
  timings: {},
};
