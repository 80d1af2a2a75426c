/** What runners without a model find, in tests. */
import type { Finding } from "@omni-iml/shared/analysis";
import type { InferRequest } from "@omni-iml/shared/inference";

/** A finding that fits the contract, about the input of `job`. */
export function finding(job: InferRequest): Finding {
  return {
    model: { name: "omni-iml", version: "0", release: job.release, precision: "fp32", provider: "cpu" },
    image: {
      sha256: job.sha256,
      format: "png",
      width: 64,
      height: 64,
      bytes: job.bytes,
      orientation: 1,
      frames: 1,
      jpeg: null,
    },
    verdict: "tampered",
    score: 0.9,
    threshold: job.options.threshold ?? 0.5,
    domain: { name: "natural", confidence: 0.8 },
    modality: "rgb",
    regions: [],
    explanation: "",
    evidence: [
      {
        code: "a",
        family: "b",
        severity: "low",
        summary: "c",
        meaning: "d",
        next_step: null,
        details: { nested: [1] },
      },
    ],
    input_quality: [],
    degraded_checks: [],
    timings: { total: 1 },
  };
}
