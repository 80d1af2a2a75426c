/** Bindings of the worker, and its settings, parsed once. */
import { z } from "zod";
import type { AccountObject } from "./accounts/account-object.ts";
import type { AnalysisObject } from "./analysis/analysis-object.ts";
import type { ResultObject } from "./analysis/result-object.ts";
import type { BatchObject } from "./batches/batch-object.ts";
import type { IdempotencyObject } from "./idempotency/idempotency-object.ts";
import type { RunnerPoolObject } from "./runners/pool-object.ts";
import type { MetricsObject } from "./telemetry/metrics-object.ts";
import type { UploadObject } from "./uploads/upload-object.ts";
import type { EndpointObject } from "./webhooks/endpoint-object.ts";

/** What travels through the queue: ids only. */
export interface DispatchMessage {
  analysis: string;
}

const milliseconds = z.coerce.number().int().positive();
const seconds = milliseconds.transform((value) => value * 1000);
const bytes = z.coerce.number().int().positive();
/** Seconds, fractions included, separated by commas. */
const schedule = z
  .string()
  .transform((list) => list.split(",").map((part) => Number(part.trim()) * 1000))
  .pipe(z.array(z.number().positive()).min(1));
const optional = z.string().transform((value) => (value === "" ? null : value));

/** The variables of wrangler.toml; durations come out in milliseconds. */
const variables = z.object({
  RUNNER_URLS: z
    .string()
    .transform((list) => list.split(",").map((url) => url.trim().replace(/\/+$/, "")))
    .pipe(z.array(z.url()).min(1)),
  RUNNER_SECRET: z.string().min(1),
  S3_ENDPOINT: z.url(),
  S3_REGION: z.string().min(1),
  S3_BUCKET: z.string().min(1),
  S3_ACCESS_KEY_ID: z.string().min(1),
  S3_SECRET_ACCESS_KEY: z.string().min(1),
  DEFAULT_WAIT_S: z.coerce
    .number()
    .int()
    .min(0)
    .max(60)
    .transform((value) => value * 1000),
  LEASE_MS: milliseconds,
  ATTEMPT_S: seconds,
  DEADLINE_INTERACTIVE_S: seconds,
  DEADLINE_BATCH_S: seconds,
  MAX_ATTEMPTS: z.coerce.number().int().positive(),
  BACKOFF_MS: milliseconds,
  INPUT_RETENTION_S: seconds,
  RESULT_RETENTION_S: seconds,
  TOMBSTONE_S: seconds,
  FILE_URL_S: seconds,
  IN_BAND_MAX_BYTES: bytes,
  IN_BAND_BUDGET_BYTES: bytes,
  WEBHOOK_RETRY_S: schedule,
  WEBHOOK_TIMEOUT_S: seconds,
  WEBHOOK_DISABLE_AFTER_S: seconds,
  WEBHOOK_LOG_S: seconds,
  UPLOAD_URL_S: seconds,
  UPLOAD_RETENTION_S: seconds,
  IMAGE_URL_TIMEOUT_S: seconds,
  IMAGE_URL_REDIRECTS: z.coerce.number().int().min(0),
  BATCH_IN_FLIGHT: z.coerce.number().int().positive(),
  INTERPRETER: optional,
  EGRESS_PROXY_URL: optional.pipe(z.url().nullable()),
  EGRESS_PROXY_SECRET: z.string(),
});
export type Settings = z.output<typeof variables>;

type Variables = { [Name in keyof z.input<typeof variables>]: string };

export interface Environment extends Variables {
  ANALYSES: DurableObjectNamespace<AnalysisObject>;
  RESULTS: DurableObjectNamespace<ResultObject>;
  ACCOUNTS: DurableObjectNamespace<AccountObject>;
  ENDPOINTS: DurableObjectNamespace<EndpointObject>;
  METRICS: DurableObjectNamespace<MetricsObject>;
  IDEMPOTENCY: DurableObjectNamespace<IdempotencyObject>;
  UPLOADS: DurableObjectNamespace<UploadObject>;
  BATCHES: DurableObjectNamespace<BatchObject>;
  RUNNERS: DurableObjectNamespace<RunnerPoolObject>;
  DATABASE: D1Database;
  STORAGE: R2Bucket;
  DISPATCH: Queue<DispatchMessage>;
  FAILED_AUTHENTICATION: RateLimit;
  PLAYGROUND_SESSIONS: RateLimit;
  PLAYGROUND_ANALYSES: RateLimit;
  /** The playground's page and what it loads (edge/playground). */
  ASSETS: Fetcher;
}

const parsed = new WeakMap<Variables, Settings>();

/** The settings of this deployment. Throws one error that names every variable that is missing or wrong. */
export function settings(environment: Variables): Settings {
  const known = parsed.get(environment);
  if (known) return known;
  const result = variables.safeParse(environment);
  if (!result.success) {
    const complaints = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new Error(`The worker's variables are not complete (see wrangler.toml): ${complaints.join("; ")}`);
  }
  parsed.set(environment, result.data);
  return result.data;
}
