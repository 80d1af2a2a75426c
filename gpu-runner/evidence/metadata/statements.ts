/** Metadata in statements. */
import type { DecodedImage } from "../../image/decode.ts";
import { displayedPoint, displayedSize } from "../../image/orientation.ts";
import type { State } from "../findings.ts";
import { saysGenerated } from "../provenance/statements.ts";
import { editorNamed } from "./editors.ts";
import type { Metadata } from "./read.ts";
import type { ThumbnailComparison } from "./thumbnail.ts";

/** Text chunks of a PNG in which image generators keep their settings. */
const generatorChunks = new Set(["parameters", "prompt", "workflow", "dream", "sd-metadata", "invokeai_metadata"]);

/** Marks that platforms leave, by what they start with. */
const platforms: readonly (readonly [mark: string, name: string])[] = [["FBMD", "Facebook or Instagram"]];

/** "2026:11:23 17:50:00" as milliseconds of a clock without time zone; NaN where it is none. */
function clock(text: string | null): number {
  const found = text?.match(/^(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?/);
  if (!found) return Number.NaN;
  const [, year, month, day, hour = "0", minute = "0", second = "0"] = found;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

const day = 86_400_000;

export function metadataEvidence(metadata: Metadata, image: DecodedImage, now: Date, state: State): void {
  if (!metadata.any) state("no_metadata", {});
  if (metadata.camera !== null) {
    state("camera", { camera: metadata.camera, taken: metadata.taken, software: metadata.software });
  }
  if (image.orientation !== 1) state("orientation_tag", { orientation: image.orientation });
  software(metadata, state);
  dates(metadata, now, state);
  size(metadata, image, state);
  if (saysGenerated(metadata.sourceType)) {
    state("declared_generated", { source: "xmp", statement: metadata.sourceType ?? "" });
  }
  const settings = image.metadata.comments.find(({ keyword }) => generatorChunks.has(keyword.toLowerCase()));
  if (settings !== undefined) state("declared_generated", { source: "png_text", statement: settings.keyword });
  const mark = platforms.find(([start]) => metadata.instructions?.startsWith(start));
  if (mark !== undefined) state("platform_trace", { platform: mark[1], trace: metadata.instructions ?? "" });
}

function software(
  { software: last, programs, actions, photoshop, derivedFrom, modified }: Metadata,
  state: State,
): void {
  if (last !== null && editorNamed(last) !== null) state("editing_software", { software: last, modified });
  const editors = programs.filter((program) => editorNamed(program) !== null);
  if (editors.length > 0) {
    state("editing_history", { programs: editors, actions: [...actions], derived_from: derivedFrom });
  }
  if (photoshop.length > 1) state("photoshop_blocks", { blocks: [...photoshop] });
}

function dates({ taken, modified, gpsDate }: Metadata, now: Date, state: State): void {
  const [captured, changed, satellites] = [clock(taken), clock(modified), clock(gpsDate)];
  if (taken !== null && modified !== null) {
    // Cameras write both at once; a minute is what long exposures and slow cards take.
    if (changed > captured + 60_000) state("modified_after_capture", { taken, modified });
    if (changed < captured - 60_000) {
      state("dates_contradict", { reason: "captured_after_modified", dates: { taken, modified } });
    }
  }
  // No time zone is more than 14 hours ahead.
  if (taken !== null && captured > now.getTime() + day) {
    state("dates_contradict", { reason: "in_the_future", dates: { taken } });
  }
  if (taken !== null && gpsDate !== null && Math.abs(satellites - captured) > 2 * day) {
    state("dates_contradict", { reason: "gps_differs", dates: { taken, gps: gpsDate } });
  }
}

/** Cameras record a size that is rounded up to whole blocks, or turned. */
function size({ recorded }: Metadata, { width, height }: DecodedImage, state: State): void {
  if (recorded === null) return;
  const same = (a: number, b: number) => Math.abs(a - b) < 16;
  const [w, h] = recorded;
  if ((same(w, width) && same(h, height)) || (same(w, height) && same(h, width))) return;
  state("size_differs_from_metadata", { recorded: [w, h], stored: [width, height] });
}

/** Of a preview that shows another picture, and of one in which a single place differs. */
const leastCorrelation = 0.6;
const largestDifference = 70;

export function thumbnailEvidence(comparison: ThumbnailComparison | null, image: DecodedImage, state: State): void {
  if (comparison === null) return;
  const correlation = Math.round(comparison.correlation * 1000) / 1000;
  const largest_difference = Math.round(comparison.largestDifference);
  if (comparison.correlation >= leastCorrelation && comparison.largestDifference < largestDifference) {
    state("thumbnail_agrees", { correlation, largest_difference });
    return;
  }
  const { width, height, orientation } = image;
  const shown = displayedSize(width, height, orientation);
  const [x, y] = displayedPoint([comparison.at[0] * width, comparison.at[1] * height], image, orientation);
  const third = (at: number, side: number) => (at < side / 3 ? 0 : at <= (2 * side) / 3 ? 1 : 2);
  const rows = ["upper", "middle", "lower"];
  const columns = ["left", "centre", "right"];
  const [row, column] = [third(y, shown.height), third(x, shown.width)];
  const place = row === 1 && column === 1 ? "centre" : `${rows[row]} ${columns[column]}`;
  state("thumbnail_differs", { correlation, largest_difference, place, size: [...comparison.size] });
}
