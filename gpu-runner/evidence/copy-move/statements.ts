/** Copied places in statements. */
import type { State } from "../findings.ts";
import type { Point } from "../plane.ts";
import type { PlacedCopy } from "../thread.ts";
import type { Copy } from "./correspondence.ts";

/** From where to where a place was copied. */
export interface CopyLink {
  readonly region: string;
  readonly source: readonly Point[];
  readonly target: readonly Point[];
}

interface Showing {
  readonly onDisplay: (polygon: readonly Point[]) => readonly Point[];
  /** Whether the picture is one of text. */
  readonly printed: boolean;
  /** Of the picture that was searched. */
  readonly pixels: number;
}

/**
 * Letters and printed lines repeat by nature: in documents and scene text a copy must be larger and agree more, and
 * anywhere else what is as small as a letter must agree to the finest grain.
 */
export function believed(
  { area, similarity, grain }: Copy,
  { printed, pixels }: Pick<Showing, "printed" | "pixels">,
): boolean {
  if (printed) return area / pixels >= 0.01 && similarity >= 0.97 && grain >= 0.8;
  return similarity >= 0.94 && grain >= (area / pixels >= 0.006 ? 0.5 : 0.85);
}

export function copyEvidence(
  { copies, keypoints }: { copies: readonly PlacedCopy[]; keypoints: number },
  showing: Showing,
  state: State,
): CopyLink[] {
  const round = (value: number) => Math.round(value * 1000) / 1000;
  const links: CopyLink[] = [];
  for (const copy of copies) {
    const [first, second] = [showing.onDisplay(copy.first), showing.onDisplay(copy.second)];
    const facts = { similarity: round(copy.similarity), scale: round(copy.scale), rotation: Math.round(copy.rotation) };
    if (copy.region !== null && believed(copy, showing)) {
      const [source, target] = copy.target === "first" ? [second, first] : [first, second];
      links.push({ region: copy.region, source, target });
      state("copied_region", { region: copy.region, source, target, ...facts });
    } else {
      state("similar_places", { first, second, ...facts });
    }
  }
  if (copies.length === 0) state("no_copy_found", { keypoints, examined_pixels: showing.pixels });
  return links;
}
