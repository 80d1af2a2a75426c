/** Places of which one was copied from the other, as the evidence tells of them. */
import type { Analysis } from "@omni-iml/shared/analysis";

type Corners = readonly (readonly [number, number])[];

export interface Link {
  /** The region that is the copy. */
  readonly region: string;
  readonly source: Corners;
  readonly target: Corners;
}

const isCorners = (value: unknown): value is Corners =>
  Array.isArray(value) &&
  value.length > 2 &&
  value.every((corner) => Array.isArray(corner) && corner.length === 2 && corner.every(Number.isFinite));

export function linksIn(evidence: Analysis["evidence"]): Link[] {
  return (evidence ?? []).flatMap(({ code, details: { region, source, target } }) =>
    code === "copied_region" && typeof region === "string" && isCorners(source) && isCorners(target)
      ? [{ region, source, target }]
      : [],
  );
}

/** The middle of the box around a place. */
export function middleOf(corners: Corners): [x: number, y: number] {
  const centre = (values: number[]) => (Math.min(...values) + Math.max(...values)) / 2;
  return [centre(corners.map(([x]) => x)), centre(corners.map(([, y]) => y))];
}
