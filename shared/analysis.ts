/** The analysis resource and the options of a request, as the public API shows them. */
import { z } from "zod";
import { analysisExample, summaryExample } from "./examples.ts";
import { feedback } from "./feedback.ts";
import { idSchema } from "./ids.ts";
import { problemDocument } from "./problems.ts";

export const domains = ["natural", "document", "face", "scene_text"] as const;
export const outputNames = ["probability", "mask", "overlay", "report"] as const;
export type OutputName = (typeof outputNames)[number];
export const outputContentTypes: Readonly<Record<OutputName, string>> = {
  probability: "image/png",
  mask: "image/png",
  overlay: "image/png",
  report: "application/json",
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
      .default([...outputNames]),
    interpretation: z.enum(["none", "builtin"]).default("builtin"),
    evidence: z.boolean().default(true),
    retention_s: z
      .int()
      .min(60)
      .max(30 * 86_400)
      .optional(),
    priority: z.enum(["interactive", "batch"]).default("interactive"),
  })
  .meta({ id: "AnalysisOptions", example: { threshold: 0.3, outputs: ["mask", "report"] } });
export type AnalysisOptions = z.infer<typeof analysisOptions>;

/** The customer's own labels, returned as they were sent. */
export const metadata = z
  .record(z.string().min(1).max(40), z.string().max(500))
  .refine((value) => Object.keys(value).length <= 50, "at most 50 keys")
  .meta({ id: "Metadata", description: "Your own labels.", maxProperties: 50, example: { case: "17" } });

/** In pixels of the displayed image: origin at the top left, x to the right, y down; `width` and `height` at least 1. */
export const boundingBox = z.object({ x: z.int(), y: z.int(), width: z.int(), height: z.int() });

export const region = z
  .object({
    id: z.string().meta({ example: "r1" }),
    bbox: boundingBox,
    polygon: z.array(z.tuple([z.number(), z.number()])).meta({ description: "Outer contour, pixels, not closed." }),
    area_fraction: z.number().min(0).max(1),
    score: z.number().min(0).max(1).meta({ description: "Mean probability inside the region." }),
    manipulation: z.string().nullable(),
    artifacts: z.array(z.string()),
    position: z.object({ absolute: z.string(), relative: z.string().nullable() }),
    content: z.string().nullable(),
  })
  .meta({ id: "Region" });
export type Region = z.infer<typeof region>;

export const evidence = z
  .object({
    code: z.string(),
    family: z.string(),
    severity: z.enum(["info", "low", "medium", "high"]),
    summary: z.string(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "Evidence" });

/** A caveat about the input: why the answer may be less certain. */
export const inputQuality = z.object({ code: z.string(), summary: z.string() }).meta({ id: "InputQuality" });

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
  degraded_checks: z.array(z.object({ check: z.string(), reason: z.string() })),
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
    error: problemDocument.nullable(),
    feedback: feedback.nullable(),
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
