/** What the HTTP process and the inference process tell each other. Only compressed images travel. */
import { analysisOptions, finding } from "@omni-iml/shared/analysis";
import { problemCode } from "@omni-iml/shared/problems";
import { releaseManifest } from "@omni-iml/shared/release";
import { z } from "zod";

const file = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes");

/** The files that are made where the pixels are; the report is made of what the other process knows as well. */
export const pixelOutput = z.enum(["probability", "mask", "overlay"]);
export type PixelOutput = z.infer<typeof pixelOutput>;

export const loadCommand = z.object({
  type: z.literal("load"),
  modelFile: z.string(),
  /** null where the release has no interpretation model. */
  interpretationFile: z.string().nullable(),
  manifest: releaseManifest,
  provider: z.enum(["cpu", "cuda"]),
  threads: z.int(),
  /** Model sessions that share the threads, beside the one that has them all. */
  smallSessions: z.int(),
  imageThreads: z.int(),
  maxPixels: z.int(),
  largestBatch: z.int(),
  /** Bytes of device memory that the session's arena may take. */
  deviceMemory: z.int().nullable(),
  /** Certificates whose signatures on Content Credentials are trusted, as PEM. */
  trustAnchors: z.string().nullable(),
});
export type LoadCommand = z.infer<typeof loadCommand>;

export const analyseCommand = z.object({
  type: z.literal("analyse"),
  job: z.int(),
  bytes: file,
  sha256: z.string(),
  outputs: z.array(pixelOutput),
  /** What is wanted besides the outputs: pictures for a report, pictures of the regions for a language model. */
  pictures: z.object({ report: z.boolean(), prompt: z.boolean() }),
  options: analysisOptions,
});
export type AnalyseCommand = z.infer<typeof analyseCommand>;

export const command = z.discriminatedUnion("type", [
  loadCommand,
  analyseCommand,
  z.object({ type: z.literal("drop"), job: z.int() }),
]);
export type Command = z.infer<typeof command>;

/** Compressed pictures that are not outputs themselves. */
export const pictures = z.object({
  report: z
    .object({ image: file, overlay: file, crops: z.array(z.object({ id: z.string(), picture: file })) })
    .nullable(),
  prompt: z
    .object({
      image: file,
      reference: file,
      width: z.int(),
      height: z.int(),
      boxes: z.array(z.object({ id: z.string(), left: z.int(), top: z.int(), right: z.int(), bottom: z.int() })),
    })
    .nullable(),
});
export type Pictures = z.infer<typeof pictures>;

/** A finding without what only the other process knows: what is served, and the whole of the timings. */
export const pixelFinding = finding.omit({ model: true });
export type PixelFinding = z.infer<typeof pixelFinding>;

const jobStage = z.enum(["decode", "inference", "evidence", "interpretation", "encode"]);

export const report = z.discriminatedUnion("type", [
  /** Loaded, proved and warmed. */
  z.object({ type: z.literal("ready") }),
  /** The session ran: so many tiles together, their pixels, milliseconds that it took and that they had waited, summed. */
  z.object({ type: z.literal("batch"), tiles: z.int(), pixels: z.int(), took: z.number(), waited: z.number() }),
  /** The device had no memory for a batch; at most so many tiles run together from now on. */
  z.object({ type: z.literal("shrunk"), largest: z.int() }),
  /** Cannot serve, whatever the job. */
  z.object({ type: z.literal("unusable"), reason: z.string() }),
  z.object({ type: z.literal("stage"), job: z.int(), stage: jobStage, progress: z.number().nullable() }),
  z.object({
    type: z.literal("done"),
    job: z.int(),
    finding: pixelFinding,
    files: z.partialRecord(pixelOutput, file),
    pictures,
  }),
  z.object({ type: z.literal("failed"), job: z.int(), code: problemCode, detail: z.string(), cause: z.string() }),
  z.object({ type: z.literal("dropped"), job: z.int() }),
]);
export type Report = z.infer<typeof report>;
export type JobStage = z.infer<typeof jobStage>;
