/** What every job of the benches asks for, wherever it is done. */
import { analysisOptions } from "@omni-iml/shared/analysis";

/** No words, no evidence: the work is decoding, tiles, the session, blending, regions and the encoder. */
export const benchOptions = { interpretation: "none", evidence: false } as const;

export const benchJob = {
  outputs: ["probability", "mask"] as ("probability" | "mask")[],
  pictures: { report: false, prompt: false },
  options: analysisOptions.parse(benchOptions),
};
