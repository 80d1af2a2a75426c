/** Resampling in statements. */
import type { State } from "../findings.ts";
import type { Sampling } from "../thread.ts";
import { resampledRegions, wasResampled } from "./judge.ts";
import { factorsOf, type Period } from "./periods.ts";

function facts({ axis, frequency, strength }: Period) {
  return {
    axis,
    frequency: Math.round(frequency * 10_000) / 10_000,
    strength: Math.round(strength * 10) / 10,
    factors: factorsOf(frequency),
  };
}

export function samplingEvidence(
  sampling: Sampling,
  { pixels, printed }: { readonly pixels: number; readonly printed: boolean },
  state: State,
): void {
  const whole = wasResampled(sampling.image, printed);
  const regions = resampledRegions(sampling);
  if (whole !== null) state("resampled_image", facts(whole));
  for (const { region, period } of regions) state("resampled_region", { region, ...facts(period) });
  if (whole === null && regions.length === 0) {
    const { horizontal, vertical } = sampling.image;
    const strength = Math.max(horizontal?.strength ?? 0, vertical?.strength ?? 0);
    state("no_resampling_found", { strength: Math.round(strength * 10) / 10, examined_pixels: pixels });
  }
}
