/** The analysis resource and the options of a request, as the public API shows them. */
import { z } from "zod";
import { analysisExample, summaryExample } from "./examples.ts";
import { feedback } from "./feedback.ts";
import { idSchema } from "./ids.ts";
import { problemDocument } from "./problems.ts";

export const domains = ["natural", "document", "face", "scene_text"] as const;
export const outputNames = ["probability", "mask", "overlay", "report", "report_html", "report_pdf"] as const;
export type OutputName = (typeof outputNames)[number];
export const outputContentTypes: Readonly<Record<OutputName, string>> = {
  probability: "image/png",
  mask: "image/png",
  overlay: "image/png",
  report: "application/json",
  report_html: "text/html; charset=utf-8",
  report_pdf: "application/pdf",
};

/** What a request may ask for. Everything but `retention_s` and `priority` is part of the cache key. */
export const analysisOptions = z
  .strictObject({
    threshold: z.number().gt(0).lt(1).optional().meta({
      description: "Probability from which a pixel counts as manipulated in mask and regions. Default: the release's.",
    }),
    outputs: z
      .array(z.enum(outputNames))
      .min(1)
      .max(outputNames.length)
      .default([...outputNames])
      .meta({
        description:
          "Files to make. `report` is JSON, `report_html` one self-contained page, `report_pdf` the same to print; leave out what you do not read where throughput counts.",
      }),
    interpretation: z.enum(["none", "builtin", "vlm"]).default("builtin").meta({
      description:
        "Who says what was done to a region. `vlm`: the vision-language model that this service is configured with, which is then sent the picture; where there is none or it fails, the built-in module answers and `degraded_checks` names `vlm`.",
    }),
    evidence: z.boolean().default(true),
    retention_s: z
      .int()
      .min(60)
      .max(30 * 86_400)
      .optional(),
    priority: z.enum(["interactive", "batch"]).default("interactive"),
  })
  .meta({ id: "AnalysisOptions", example: { threshold: 0.3, outputs: ["mask", "report_pdf"] } });
export type AnalysisOptions = z.infer<typeof analysisOptions>;

/** The customer's own labels, returned as they were sent. */
export const metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((value) => Object.keys(value).length <= 50, "at most 50 keys")
  .meta({ id: "Metadata", description: "Your own labels.", maxProperties: 50, example: { case: "17" } });

/** In pixels of the displayed image: origin at the top left, x to the right, y down; `width` and `height` at least 1. */
export const boundingBox = z.object({ x: z.int(), y: z.int(), width: z.int(), height: z.int() });

/** What can have been done to a region: the closed set of the interpretation model. */
export const manipulationKinds = [
  "splice",
  "copy_move",
  "removal",
  "local_edit",
  "generated",
  "text_replace",
  "text_insert",
  "text_erase",
  "mark_insert",
  "face_swap",
  "retouch",
] as const;
export type ManipulationKind = (typeof manipulationKinds)[number];

/** What can give a region away: the artifact titles of Omni-273k, as a closed set. */
export const artifactTitles = [
  "edge",
  "lighting",
  "noise",
  "resolution",
  "compression",
  "texture",
  "alignment",
  "font",
  "colour",
  "repetition",
  "geometry",
  "semantics",
] as const;
export type ArtifactTitle = (typeof artifactTitles)[number];

/** By thirds of the displayed image, as its centre of gravity lies. */
export const absolutePositions = [
  "upper left",
  "upper centre",
  "upper right",
  "middle left",
  "centre",
  "middle right",
  "lower left",
  "lower centre",
  "lower right",
  "most of the image",
] as const;
export type AbsolutePosition = (typeof absolutePositions)[number];

export const relations = [
  "left of",
  "right of",
  "above",
  "below",
  "above and left of",
  "above and right of",
  "below and left of",
  "below and right of",
  "inside",
  "around",
] as const;
export type Relation = (typeof relations)[number];
/** A relation and the id of the other region: "left of r2". */
export const relativePosition = new RegExp(`^(${relations.join("|")}) (r\\d+)$`);

/** How sure it is that a region was manipulated: from .95, .8, .6 and .4 of `true_region`, and below. */
export const certainties = ["almost_certain", "very_likely", "likely", "uncertain", "unlikely"] as const;
export type Certainty = (typeof certainties)[number];

/** What the interpretation says of one region. */
export const regionInterpretation = z
  .object({
    source: z.enum(["builtin", "vlm"]).meta({ description: "Who chose kind, artifacts and words." }),
    certainty: z.enum(certainties).nullable().meta({ description: "`true_region` in words." }),
    true_region: z.number().min(0).max(1).nullable().meta({
      description:
        "Calibrated probability that the region was manipulated at all, never above `score`; always the built-in module's.",
    }),
    manipulation_probability: z.number().min(0).max(1).nullable().meta({
      description: "Calibrated probability of `manipulation`; null where a language model chose it.",
    }),
    reasons: z
      .array(
        z.object({
          artifact: z.enum(artifactTitles),
          probability: z.number().min(0).max(1).nullable(),
          description: z.string(),
        }),
      )
      .meta({ description: "One for each of `artifacts`, in the same order." }),
    description: z.string(),
  })
  .meta({ id: "RegionInterpretation" });
export type RegionInterpretation = z.infer<typeof regionInterpretation>;

export const region = z
  .object({
    id: z.string().meta({ example: "r1" }),
    bbox: boundingBox,
    polygon: z.array(z.tuple([z.number(), z.number()])).meta({ description: "Outer contour, pixels, not closed." }),
    area_fraction: z.number().min(0).max(1),
    score: z.number().min(0).max(1).meta({ description: "Mean probability inside the region." }),
    manipulation: z.enum(manipulationKinds).nullable(),
    artifacts: z.array(z.enum(artifactTitles)).meta({ description: "What gives it away, the most probable first." }),
    position: z.object({
      absolute: z.enum(absolutePositions),
      relative: z
        .string()
        .regex(relativePosition)
        .nullable()
        .meta({ description: "To the nearest other region.", example: "left of r2" }),
    }),
    content: z
      .string()
      .nullable()
      .meta({ description: "The text in the region, in documents and scene text, where it could be read." }),
    content_confidence: z.number().min(0).max(1).nullable().default(null).meta({
      description: "The text recogniser's own confidence, not calibrated; nothing is told below .8. null without text.",
    }),
    interpretation: regionInterpretation.nullable().default(null).meta({
      description: "null where none was wanted, or where no module looked at the region.",
    }),
  })
  .meta({ id: "Region" });
export type Region = z.infer<typeof region>;

/** Something that a check beside the network found in the file, or that it found nothing. */
export const evidence = z
  .object({
    code: z.string().meta({ description: "Of a closed list that only grows." }),
    family: z
      .string()
      .meta({ description: "The check: compression, metadata, provenance, copy_move, resampling, method." }),
    severity: z.enum(["info", "low", "medium", "high"]),
    summary: z.string().meta({ description: "What was found." }),
    meaning: z.string().meta({ description: "What that says, and what it does not prove." }),
    next_step: z.string().nullable().meta({ description: "What a person should do about it; null: nothing." }),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "Evidence" });

/** A caveat about the input: why the answer may be less certain. */
export const inputQuality = z.object({ code: z.string(), summary: z.string() }).meta({ id: "InputQuality" });
export type InputQuality = z.infer<typeof inputQuality>;

export const imageFacts = z
  .object({
    sha256: z.string(),
    format: z.enum(["jpeg", "png", "webp", "tiff", "avif", "heic"]),
    width: z.int().meta({ description: "As displayed, after the orientation tag." }),
    height: z.int(),
    bytes: z.int(),
    orientation: z.int().min(1).max(8),
    frames: z.int().min(1).meta({ description: "More than one: only the first was analysed." }),
    jpeg: z
      .object({ quality: z.int().nullable(), subsampling: z.string().nullable(), progressive: z.boolean() })
      .nullable(),
  })
  .meta({ id: "ImageFacts" });

export const servedModel = z.object({
  name: z.string(),
  version: z.string(),
  release: z.string().meta({ description: "Model, pipeline and thresholds together; part of the cache key." }),
  precision: z.literal("fp32"),
  provider: z.enum(["cpu", "cuda"]),
});

/** What the runner finds; everything of the resource that does not depend on who asked. */
export const finding = z.object({
  model: servedModel,
  image: imageFacts,
  verdict: z.enum(["tampered", "no_tampering_detected", "inconclusive"]),
  score: z.number().min(0).max(1).meta({ description: "Probability that anything in the image was manipulated." }),
  threshold: z.number(),
  domain: z.object({ name: z.enum(domains), confidence: z.number().min(0).max(1) }),
  modality: z.enum(["rgb", "fused"]).meta({ description: "What the modal gate chose." }),
  regions: z.array(region),
  explanation: z.string(),
  evidence: z.array(evidence),
  input_quality: z.array(inputQuality),
  degraded_checks: z
    .array(
      z.object({
        check: z.string(),
        reason: z.string(),
        retryable: z.boolean().optional().meta({
          description: "true where it may work another time: later requests are not answered from this result, then.",
        }),
      }),
    )
    .meta({ description: "What could not be done, a report or a check: the rest stands without it." }),
  /** Milliseconds by stage. */
  timings: z.record(z.string(), z.number()),
});
export type Finding = z.infer<typeof finding>;

export const resultFile = z.object({
  url: z.string(),
  expires_at: z.iso.datetime(),
  content_type: z.string(),
  bytes: z.int(),
  sha256: z.string(),
});

export const analysisStatuses = ["queued", "running", "succeeded", "failed", "canceled", "expired"] as const;
export type AnalysisStatus = (typeof analysisStatuses)[number];

/** The same fields, `null` until the analysis has succeeded. */
function pending<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return Object.fromEntries(Object.entries(shape).map(([name, schema]) => [name, z.nullable(schema)])) as {
    [Name in keyof Shape]: z.ZodNullable<Shape[Name]>;
  };
}

export const analysis = z
  .object({
    id: idSchema("analysis"),
    object: z.literal("analysis"),
    status: z.enum(analysisStatuses),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    ended_at: z.iso.datetime().nullable(),
    expires_at: z.iso.datetime().nullable(),
    cached: z.boolean(),
    attempts: z.int().min(0),
    stage: z.string().nullable().meta({ description: "What the runner is doing right now." }),
    options: analysisOptions,
    metadata,
    input: z.object({ sha256: z.string(), bytes: z.int(), content_type: z.string(), filename: z.string().nullable() }),
    ...pending(finding.shape),
    files: z.partialRecord(z.enum(outputNames), resultFile),
    // Unions, because the OpenAPI document describes `nullable()` of these by an `allOf` that no null fits.
    error: z.union([problemDocument, z.null()]),
    feedback: z.union([feedback, z.null()]),
  })
  .meta({ id: "Analysis", example: analysisExample });
export type Analysis = z.infer<typeof analysis>;

/** A line of the list: what the index knows of an analysis. The record itself is at `GET /v1/analyses/{id}`. */
export const analysisSummary = analysis
  .pick({
    id: true,
    object: true,
    status: true,
    created_at: true,
    ended_at: true,
    expires_at: true,
    cached: true,
    verdict: true,
    score: true,
  })
  .meta({ id: "AnalysisSummary", example: summaryExample });
export type AnalysisSummary = z.infer<typeof analysisSummary>;

/** A page, newest first. `next_cursor` is `null` on the last one; the Link header carries the same as an address. */
export const analysisPage = z
  .object({ object: z.literal("list"), data: z.array(analysisSummary), next_cursor: z.string().nullable() })
  .meta({ id: "AnalysisPage", example: { object: "list", data: [summaryExample], next_cursor: null } });
export type AnalysisPage = z.infer<typeof analysisPage>;
