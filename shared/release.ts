/** The manifest of a model release: `model/release/manifest.json`, written by the export, read by edge and runner. */
import { z } from "zod";
import { artifactTitles, domains, manipulationKinds } from "./analysis.ts";

/** Rows of mean probability, share that was right, and how many there were: a reliability diagram. */
const calibration = z.array(z.tuple([z.number(), z.number(), z.number()]));

/** The network that says what was done to a region; see model/interpretation/README.md. */
export const interpretationManifest = z.object({
  version: z.string(),
  model: z.object({ file: z.string(), sha256: z.string(), bytes: z.int(), opset: z.int() }),
  /** Of each view, in pixels. */
  side: z.literal(192),
  views: z.tuple([z.literal("whole"), z.literal("close_up"), z.literal("detail")]),
  facts: z.array(z.string()).length(11),
  kinds: z.array(z.enum(manipulationKinds)).length(manipulationKinds.length),
  artifacts: z.array(z.enum(artifactTitles)).length(artifactTitles.length),
  thresholds: z.object({
    /** Nothing is said about the kind below it. */
    kind: z.number(),
    /** A region below it is more likely a false alarm. */
    confirmed: z.number(),
    /** A title is said from here on. */
    artifacts: z.record(z.enum(artifactTitles), z.number()),
  }),
  calibration: z.object({ kind: calibration, artifacts: calibration, confirmed: calibration }),
  figures: z.record(z.string(), z.unknown()),
});
export type InterpretationManifest = z.infer<typeof interpretationManifest>;

export const releaseManifest = z.object({
  name: z.literal("omni-iml"),
  version: z.string(),
  /** Identifies model, pipeline and thresholds together; part of every cache key. */
  release: z.string(),
  precision: z.literal("fp32"),
  licence: z.string(),
  model: z.object({ file: z.string(), sha256: z.string(), bytes: z.int(), opset: z.int() }),
  inputs: z.array(z.object({ name: z.string(), type: z.string(), shape: z.array(z.union([z.string(), z.int()])) })),
  outputs: z.array(z.object({ name: z.string(), type: z.string(), shape: z.array(z.union([z.string(), z.int()])) })),
  pipeline: z.object({
    /** Largest side of a tile in pixels, a multiple of 32; images up to it in both directions are one tile. */
    tile: z.int().multipleOf(32),
    /** Several tiles along a side are as small as their number allows, in multiples of this and no larger than `tile`. */
    tile_step: z.int().min(32).multipleOf(32),
    /** Pixels by which neighbouring tiles overlap at least; tile origins are multiples of 8. */
    overlap: z.int().multipleOf(8),
    /**
     * The whole image once more at another scale: its longer side is shrunk to `size`, or, where it has no more than
     * `enlarged.up_to` pixels, enlarged by `factor` to `enlarged.size` at most; both sides are rounded to multiples of 32.
     * `weights` are those of the view's logits against the tiles', one a domain in the order of `domains`. `mirrored`,
     * its left is shown on the right and its map turned back: what the network gets wrong there, it gets wrong elsewhere.
     */
    view: z.object({
      size: z.int().multipleOf(32),
      weights: z.array(z.number().min(0).max(1)).length(domains.length),
      enlarged: z.object({ up_to: z.int(), factor: z.number().min(1), size: z.int().multipleOf(32) }),
      mirrored: z.boolean().optional(),
    }),
    /** How many tiles decide the modality of the whole image by their mean gate, and the view's weight by their domain. */
    gate_tiles: z.int().min(1),
    /**
     * Places in the blended map to which something was copied inside the image: their logits are raised by `raise`. Of two
     * places that show the same it is the one whose mean logit is higher, by `least_difference` at least, and no lower than
     * `least_logit`. Pictures of text are left alone, since letters repeat. Releases before 0.12 have none: nothing is raised.
     */
    copies: z
      .object({ raise: z.number().min(0), least_difference: z.number().min(0), least_logit: z.number() })
      .optional(),
    /**
     * All logits of the map after that are lowered by this share of the largest mean logit of a connected part from one half
     * on. Releases before 0.10 have none: nothing is lowered.
     */
    relative_floor: z.number().min(0).max(1).optional(),
    /**
     * Connected parts of the map after that, from one half on, whose mean logit is below this share of the largest such mean
     * are lowered to just under one half. Releases before 0.9 have none: nothing is lowered.
     */
    least_prominence: z.number().min(0).max(1).optional(),
  }),
  thresholds: z.object({
    /** Probability from which a pixel counts as manipulated. */
    pixel: z.number(),
    /** Image score from which the verdict is `tampered`. */
    tampered: z.number(),
    /** Image score up to which the verdict is `no_tampering_detected`; between the two it is `inconclusive`. */
    clear: z.number(),
    /** Regions with less of the image's area are dropped. */
    region_area_fraction: z.number(),
  }),
  /** Logistic on map quantiles, area above threshold, log10 of megapixels and the network's own score (see model/omni_iml/calibration). */
  score: z.object({
    features: z.array(z.string()),
    weights: z.array(z.number()),
    bias: z.number(),
    /**
     * Added to the logistic's sum where what lies in a region is there a second time, down to its grain (evidence
     * `copied_region`). Releases before 0.10.2 have none: the score is the network's alone.
     */
    copied: z.number().min(0).optional(),
    /**
     * Added where a region was compressed apart from the rest: in JPEGs by evidence `region_compression_differs`, in other
     * files by `jpeg_ghost` or `jpeg_grid_shifted`. Releases before 0.10.4 have none.
     */
    recompressed: z.number().min(0).optional(),
  }),
  /** Releases before 0.3 have none. */
  interpretation: interpretationManifest.optional(),
  training: z.record(z.string(), z.unknown()),
  figures: z.record(z.string(), z.unknown()),
});
export type ReleaseManifest = z.infer<typeof releaseManifest>;
