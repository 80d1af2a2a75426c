/**
 * What crosses the boundary between edge and GPU runner: `POST /v1/infer`.
 *
 * The request is signed (see signature.ts). The answer is either a problem document, with the status of its code, or
 * 200 with `application/x-ndjson`: stage lines, at least one every five seconds, and as its last line the result or a
 * problem. `runner_busy` and `runner_unavailable` give the job back untouched, whether as a status or as the last line.
 * An answer that ends without such a last line is a crash (`inference_crashed`).
 */
import { z } from "zod";
import { analysisOptions, finding, outputNames } from "./analysis.ts";
import { idSchema } from "./ids.ts";
import { problemDocument } from "./problems.ts";

export const inferRequest = z.strictObject({
  job_id: idSchema("analysis"),
  attempt: z.int().min(1),
  /** Whose job it is: accounts take turns, and none fills the runner alone. An edge of before 0.3 does not say. */
  account: idSchema("account").optional(),
  /** The release the edge wants; a runner that serves another answers `release_mismatch`. */
  release: z.string(),
  /** Presigned GET. */
  input_url: z.url(),
  /** Lower-case hex of the bytes the edge accepted; other bytes end `input_changed`. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(1),
  /** Presigned PUT per wanted file, under this attempt's own prefix. */
  outputs: z.partialRecord(z.enum(outputNames), z.url()),
  options: analysisOptions,
  /** Unix milliseconds after which nobody waits: the work is dropped with `deadline_exceeded`. */
  deadline: z.int(),
});
export type InferRequest = z.infer<typeof inferRequest>;

export const stages = [
  "queued",
  "download",
  "decode",
  "inference",
  "evidence",
  "interpretation",
  "encode",
  "report",
  "upload",
] as const;

export const stageLine = z.object({
  type: z.literal("stage"),
  stage: z.enum(stages),
  /** 0 to 1 within the stage, where it is known. */
  progress: z.number().min(0).max(1).nullable(),
});

/** A file as the runner stored it. */
export const storedFile = z.object({ bytes: z.int(), sha256: z.string(), content_type: z.string() });

export const resultLine = z.object({
  type: z.literal("result"),
  finding,
  files: z.partialRecord(z.enum(outputNames), storedFile),
});
export type ResultLine = z.infer<typeof resultLine>;

export const problemLine = z.object({ type: z.literal("problem"), problem: problemDocument });

export const inferLine = z.discriminatedUnion("type", [stageLine, resultLine, problemLine]);
export type InferLine = z.infer<typeof inferLine>;
