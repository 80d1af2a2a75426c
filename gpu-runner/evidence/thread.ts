/** The thread in which checks compute on pixels. Started by threads.ts. */
import { parentPort } from "node:worker_threads";
import { messageOf } from "@omni-iml/shared/message-of";
import { examineHistory, type ImageHistory } from "./compression/history.ts";
import { type Copy, type CopyFinding, findCopies } from "./copy-move/correspondence.ts";
import { lumaOf, type Plane, type Point, type RgbPixels, rasterize } from "./plane.ts";
import type { Credentials } from "./provenance/credentials.ts";
import { type Period, strongestPeriod } from "./resampling/periods.ts";
import { bandwidthOf, meanSpectrum, type Raster, rasterOf } from "./resampling/spectrum.ts";
import type { Word } from "./text/recognize.ts";

export interface PlacedRegion {
  readonly id: string;
  /** In pixels of the picture that the task is about. */
  readonly polygon: readonly Point[];
}

export type Task =
  | {
      readonly kind: "history";
      readonly picture: RgbPixels;
      readonly jpeg: { readonly table: Int32Array; readonly quality: number } | null;
      readonly regions: readonly PlacedRegion[];
      readonly differencesOnly: boolean;
    }
  | { readonly kind: "sampling"; readonly picture: RgbPixels; readonly regions: readonly PlacedRegion[] }
  | { readonly kind: "copies"; readonly picture: RgbPixels; readonly printed: boolean }
  | {
      readonly kind: "copies_in_regions";
      readonly copies: readonly Copy[];
      readonly width: number;
      readonly height: number;
      readonly regions: readonly PlacedRegion[];
    }
  | {
      readonly kind: "credentials";
      readonly bytes: Uint8Array;
      readonly mediaType: string;
      readonly anchors: string | null;
    }
  /** A PNG to be read. */
  | { readonly kind: "text"; readonly picture: Uint8Array };

export interface Periods {
  readonly horizontal: Period | null;
  readonly vertical: Period | null;
}

export interface Sampling {
  readonly image: Periods;
  readonly regions: readonly (Periods & { readonly region: string })[];
  /** Null for pictures too small for a spectrum. */
  readonly bandwidth: number | null;
  readonly raster: Raster | null;
  /** Fraction of neighbours that are exactly alike, as on drawn surfaces and never in photographs. */
  readonly flat: number;
}

export interface PlacedCopy extends Copy {
  /** The region that one of the two places lies in, and which of them. */
  readonly region: string | null;
  readonly target: "first" | "second";
}

export interface Outcome {
  history: ImageHistory;
  sampling: Sampling;
  copies: CopyFinding;
  copies_in_regions: readonly PlacedCopy[];
  credentials: Credentials | null;
  text: readonly Word[];
}

export type Answer<Kind extends Task["kind"]> = { readonly outcome: Outcome[Kind] } | { readonly error: string };

/** Regions that are looked at on their own. */
const mostRegions = 4;
/** Of one of two places that are alike: what must lie in a region. */
const inside = 0.5;

function periodsOf(plane: Plane, mask: Uint8Array | null): Periods {
  return {
    horizontal: strongestPeriod(plane, "horizontal", mask),
    vertical: strongestPeriod(plane, "vertical", mask),
  };
}

function sampling(picture: RgbPixels, regions: readonly PlacedRegion[]): Sampling {
  const plane = lumaOf(picture);
  const masks = regions.slice(0, mostRegions).map(({ id, polygon }) => ({
    region: id,
    mask: rasterize(polygon, plane.width, plane.height),
  }));
  const rest = new Uint8Array(plane.data.length).fill(1);
  for (const { mask } of masks) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) rest[i] = 0;
  const spectrum = meanSpectrum(plane);
  let alike = 0;
  for (let i = 1; i < plane.data.length; i++) if (plane.data[i] === plane.data[i - 1]) alike++;
  return {
    image: periodsOf(plane, masks.length === 0 ? null : rest),
    regions: masks.map(({ region, mask }) => ({ region, ...periodsOf(plane, mask) })),
    bandwidth: spectrum && bandwidthOf(spectrum),
    raster: spectrum && rasterOf(spectrum),
    flat: alike / plane.data.length,
  };
}

/** The fraction of a polygon that lies in a mask. */
function covered(
  polygon: readonly Point[],
  mask: Uint8Array,
  { width, height }: { width: number; height: number },
): number {
  const place = rasterize(polygon, width, height);
  let both = 0;
  let all = 0;
  for (let i = 0; i < place.length; i++) {
    if (place[i] !== 1) continue;
    all++;
    if (mask[i] === 1) both++;
  }
  return all === 0 ? 0 : both / all;
}

type CopiesInRegions = Extract<Task, { kind: "copies_in_regions" }>;

function placedCopies({ copies, regions, width, height }: CopiesInRegions): PlacedCopy[] {
  const size = { width, height };
  const masks = regions.map(({ id, polygon }) => ({ id, mask: rasterize(polygon, width, height) }));
  return copies.map((copy): PlacedCopy => {
    // The network often points at both, the copy and its original: the region that tells them apart best says which is which.
    const candidates = masks
      .map(({ id, mask }) => ({
        region: id,
        first: covered(copy.first, mask, size),
        second: covered(copy.second, mask, size),
      }))
      .filter(({ first, second }) => Math.max(first, second) >= inside)
      .toSorted((one, other) => Math.abs(other.first - other.second) - Math.abs(one.first - one.second));
    const [best] = candidates;
    if (best === undefined) return { ...copy, region: null, target: "second" };
    return { ...copy, region: best.region, target: best.first > best.second ? "first" : "second" };
  });
}

async function perform(task: Task): Promise<Outcome[Task["kind"]]> {
  switch (task.kind) {
    case "history":
      return examineHistory(task);
    case "sampling":
      return sampling(task.picture, task.regions);
    case "copies":
      return findCopies(lumaOf(task.picture), task.printed);
    case "copies_in_regions":
      return placedCopies(task);
    case "credentials": {
      const { readCredentials } = await import("./provenance/credentials.ts");
      return readCredentials(task.bytes, task.mediaType, task.anchors);
    }
    case "text": {
      const { recognize } = await import("./text/recognize.ts");
      return recognize(task.picture);
    }
  }
}

parentPort?.on("message", (task: Task) => {
  perform(task)
    .then((outcome) => parentPort?.postMessage({ outcome }))
    .catch((error: unknown) => parentPort?.postMessage({ error: messageOf(error) }));
});
