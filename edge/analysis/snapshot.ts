/** An analysis as its object hands it out, and how it becomes the public resource. */
import {
  type Analysis,
  type AnalysisOptions,
  type AnalysisStatus,
  finding as findingSchema,
  type OutputName,
  outputContentTypes,
  outputNames,
} from "@omni-iml/shared/analysis";
import type { Feedback } from "@omni-iml/shared/feedback";
import type { InferLine } from "@omni-iml/shared/inference";
import type { ProblemDocument } from "@omni-iml/shared/problems";
import type { Settings } from "../environment.ts";
import { outputKey, signedGet } from "../storage/objects.ts";

export type StoredFiles = Extract<InferLine, { type: "result" }>["files"];

export interface AnalysisInput {
  sha256: string;
  bytes: number;
  content_type: string;
  filename: string | null;
}

/** Times are Unix milliseconds. `finding` is JSON: it crosses object boundaries as it was stored and is parsed once, at the end. */
export interface AnalysisSnapshot {
  id: string;
  account: string;
  status: AnalysisStatus;
  erased: "expired" | "deleted" | null;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  expiresAt: number | null;
  cached: boolean;
  attempts: number;
  stage: string | null;
  options: AnalysisOptions;
  metadata: Record<string, string>;
  input: AnalysisInput;
  finding: string | null;
  files: StoredFiles;
  /** Under which the files of the winning attempt lie. */
  filePrefix: string | null;
  error: ProblemDocument | null;
  feedback: Feedback | null;
}

export function hasEnded(status: AnalysisStatus): boolean {
  return status !== "queued" && status !== "running";
}

const timestamp = (time: number | null) => (time === null ? null : new Date(time).toISOString());

const noFinding = {
  model: null,
  image: null,
  verdict: null,
  score: null,
  threshold: null,
  domain: null,
  modality: null,
  regions: null,
  explanation: null,
  evidence: null,
  input_quality: null,
  degraded_checks: null,
  timings: null,
};

/** The resource without its files: what is also kept as the record's copy in storage. */
export function describe(snapshot: AnalysisSnapshot): Analysis {
  return {
    id: snapshot.id,
    object: "analysis",
    status: snapshot.status,
    created_at: new Date(snapshot.createdAt).toISOString(),
    started_at: timestamp(snapshot.startedAt),
    ended_at: timestamp(snapshot.endedAt),
    expires_at: timestamp(snapshot.expiresAt),
    cached: snapshot.cached,
    attempts: snapshot.attempts,
    stage: snapshot.stage,
    options: snapshot.options,
    metadata: snapshot.metadata,
    input: snapshot.input,
    ...(snapshot.finding === null ? noFinding : findingSchema.parse(JSON.parse(snapshot.finding))),
    files: {},
    error: snapshot.error,
    feedback: snapshot.feedback,
  };
}

/** The resource as a client sees it, its files under addresses signed now. */
export async function present(snapshot: AnalysisSnapshot, settings: Settings): Promise<Analysis> {
  const { filePrefix: prefix, expiresAt, id } = snapshot;
  const resource = describe(snapshot);
  if (prefix === null) return resource;
  const lifetime = Math.min(settings.FILE_URL_S, (expiresAt ?? Number.POSITIVE_INFINITY) - Date.now());
  const names = outputNames.filter((name) => snapshot.files[name] !== undefined);
  const files = await Promise.all(names.map((name) => presentFile(name, prefix, lifetime)));
  return { ...resource, files: Object.fromEntries(files) };

  async function presentFile(name: OutputName, filePrefix: string, duration: number) {
    const key = outputKey(filePrefix, name);
    const contentType = outputContentTypes[name];
    const fileName = `${id}-${key.slice(filePrefix.length)}`;
    const url = await signedGet(settings, key, duration, { contentType, fileName });
    const expires_at = new Date(Date.now() + duration).toISOString();
    const stored = snapshot.files[name];
    return [
      name,
      { url, expires_at, content_type: contentType, bytes: stored?.bytes ?? 0, sha256: stored?.sha256 ?? "" },
    ] as const;
  }
}
