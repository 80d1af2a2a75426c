/** The one cache key: account, bytes, release and every option that can change the answer. */
import { type AnalysisOptions, outputNames } from "@omni-iml/shared/analysis";
import type { ReleaseManifest } from "@omni-iml/shared/release";
import { sha256Hex } from "../storage/digest.ts";

/**
 * Names the ResultObject of a request, in lower-case hex. Requests that must get the same answer get the same key.
 *
 * @param interpreter what answers `vlm` in this deployment; for want of that knowledge, something no other request has.
 */
export function cacheKey(
  account: string,
  sha256: string,
  options: AnalysisOptions,
  release: Pick<ReleaseManifest, "release" | "thresholds">,
  interpreter: string,
): Promise<string> {
  const { threshold, outputs, evidence } = options;
  const interpretation = options.interpretation === "vlm" ? ["vlm", interpreter] : options.interpretation;
  const asked = outputNames.filter((name) => outputs.includes(name));
  const pixel = threshold ?? release.thresholds.pixel;
  const parts = [account, sha256, release.release, { threshold: pixel, outputs: asked, interpretation, evidence }];
  return sha256Hex(JSON.stringify(parts));
}
