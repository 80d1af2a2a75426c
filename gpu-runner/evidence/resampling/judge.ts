/** From which lines of a spectrum resampling is believed. Measured on camera originals: `npm run evaluate:evidence`. */
import type { Periods, Sampling } from "../thread.ts";
import type { Period } from "./periods.ts";

/** Of both axes, for a whole image. Authentic images stay below 5. */
const believed = 7;
/** The same in pictures of text: letters of one width, and lines, are periods too. Our receipt has 7, resized 9.7 and more. */
const believedPrinted = 9;
/** Of a region, on the stronger and on the weaker axis; the rest of the image must show nothing of it. */
const believedRegion = 16;
const supporting = 8;
const quiet = 5.5;

function sorted({ horizontal, vertical }: Periods): [Period, Period] | null {
  if (horizontal === null || vertical === null) return null;
  return horizontal.strength >= vertical.strength ? [horizontal, vertical] : [vertical, horizontal];
}

/**
 * The stronger of two lines, where both axes have one: images are resized both ways.
 *
 * @param printed whether the picture is one of text
 */
export function wasResampled(periods: Periods, printed: boolean): Period | null {
  const both = sorted(periods);
  return both !== null && both[1].strength >= (printed ? believedPrinted : believed) ? both[0] : null;
}

export interface ResampledRegion {
  readonly region: string;
  readonly period: Period;
}

/** Regions that were resampled when the rest was not. */
export function resampledRegions({ image, regions }: Sampling): ResampledRegion[] {
  const rest = sorted(image);
  if (rest === null || rest[0].strength > quiet) return [];
  return regions.flatMap((one) => {
    const both = sorted(one);
    if (both === null || both[0].strength < believedRegion || both[1].strength < supporting) return [];
    return [{ region: one.region, period: both[0] }];
  });
}
