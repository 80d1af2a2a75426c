/**
 * What was copied inside the image, in the map: of two places that show the same, the network reacts more to the one that
 * was pasted, but often too little. That they show the same down to their grain speaks for the rest.
 *
 * model/omni_iml/inference.py does the same, on the map's own pixels.
 */
import type { ReleaseManifest } from "@omni-iml/shared/release";
import type { Copy } from "../evidence/copy-move/correspondence.ts";
import { rasterize } from "../evidence/plane.ts";
import type { GreyMap } from "../image/encode.ts";
import { logitOf, movedLevels } from "../inference/blend.ts";

/** Pairs of places, in pixels of the picture in which they were found: the whole image, perhaps reduced. */
export interface CopiedPlaces {
  readonly copies: readonly Pick<Copy, "first" | "second" | "whole">[];
  readonly width: number;
  readonly height: number;
}

/**
 * Raises logits in place by `raise` where something was copied to: of each pair the place of the higher mean logit, with
 * all of it that agrees more loosely. Where the two differ by less than `least_difference`, nothing tells which is the
 * copy, and where neither reaches `least_logit`, the network sees nothing of it: both stay as they are.
 */
export function raiseCopies(
  map: GreyMap,
  { copies, width, height }: CopiedPlaces,
  { raise, least_difference, least_logit }: NonNullable<ReleaseManifest["pipeline"]["copies"]>,
): void {
  const [acrossMap, downMap] = [map.width / width, map.height / height];
  const logitAt = (x: number, y: number) =>
    logitOf(map.data[Math.floor((y + 0.5) * downMap) * map.width + Math.floor((x + 0.5) * acrossMap)] ?? 0);
  const meanLogit = (place: Uint8Array) => {
    let [sum, area] = [0, 0];
    for (let i = 0; i < place.length; i++) {
      if (place[i] !== 1) continue;
      sum += logitAt(i % width, Math.floor(i / width));
      area++;
    }
    return area === 0 ? null : sum / area;
  };
  const raised = new Uint8Array(width * height);
  for (const { first, second, whole } of copies) {
    const means = [first, second].map((polygon) => meanLogit(rasterize(polygon, width, height)));
    const [one, other] = means;
    if (one == null || other == null || Math.abs(one - other) < least_difference) continue;
    if (Math.max(one, other) < least_logit) continue;
    const place = rasterize(one > other ? whole.first : whole.second, width, height);
    for (let i = 0; i < place.length; i++) if (place[i] === 1) raised[i] = 1;
  }
  if (!raised.includes(1)) return;
  const levels = movedLevels(raise);
  for (let y = 0; y < map.height; y++) {
    const row = Math.floor((y + 0.5) / downMap) * width;
    for (let x = 0; x < map.width; x++) {
      if (raised[row + Math.floor((x + 0.5) / acrossMap)] !== 1) continue;
      const at = y * map.width + x;
      map.data[at] = levels[map.data[at] ?? 0] ?? 0;
    }
  }
}
