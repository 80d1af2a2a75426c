/** Written by `npm run resources` from shared/; the API's own description of it all is /openapi.json. */

export interface Account {
  id: string;
  object: "account";
  name: string;
  created_at: string;
  disabled_at: string | null;
  requests_per_minute: number;
  in_flight_limit: number;
  monthly_quota: number;
  /** Seconds for which results are kept; `null`: as the deployment says. */
  retention_s: number | null;
}

export interface AccountChange {
  name?: string | undefined;
  disabled?: boolean | undefined;
  requests_per_minute?: number | undefined;
  in_flight_limit?: number | undefined;
  monthly_quota?: number | undefined;
  /** Seconds for which results are kept; `null`: as the deployment says. */
  retention_s?: number | null | undefined;
}

export interface AccountPage {
  object: "list";
  data: Account[];
  next_cursor: string | null;
}

export interface Analysis {
  id: string;
  object: "analysis";
  status: "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired";
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  expires_at: string | null;
  cached: boolean;
  attempts: number;
  /** What the runner is doing right now. */
  stage: string | null;
  options: AnalysisOptions;
  metadata: Metadata;
  input: {
    sha256: string;
    bytes: number;
    content_type: string;
    filename: string | null;
  };
  model: {
    name: string;
    version: string;
    /** Model, pipeline and thresholds together; part of the cache key. */
    release: string;
    precision: "fp32";
    provider: "cpu" | "cuda";
  } | null;
  image: ImageFacts | null;
  verdict: "tampered" | "no_tampering_detected" | "inconclusive" | null;
  score: number | null;
  threshold: number | null;
  domain: {
    name: "natural" | "document" | "face" | "scene_text";
    confidence: number;
  } | null;
  modality: "rgb" | "fused" | null;
  regions: Region[] | null;
  explanation: string | null;
  evidence: Evidence[] | null;
  input_quality: InputQuality[] | null;
  degraded_checks: Array<{
    check: string;
    reason: string;
    /** true where it may work another time: later requests are not answered from this result, then. */
    retryable?: boolean | undefined;
  }> | null;
  timings: Record<string, number> | null;
  files: Partial<Record<"probability" | "mask" | "overlay" | "report" | "report_html" | "report_pdf", ResultFile>>;
  error: Problem | null;
  feedback: Feedback | null;
}

export interface AnalysisEvent {
  type: "analysis.succeeded" | "analysis.failed" | "analysis.canceled";
  /** When it happened; an attempt has its own in the headers. */
  timestamp: string;
  data: Analysis;
}

export interface AnalysisOptions {
  /** Probability from which a pixel counts as manipulated in mask and regions. Default: the release's. */
  threshold?: number | undefined;
  /** Files to make. `report` is JSON, `report_html` one self-contained page, `report_pdf` the same to print; leave out what you do not read where throughput counts. */
  outputs: Array<"probability" | "mask" | "overlay" | "report" | "report_html" | "report_pdf">;
  /** Who says what was done to a region. `vlm`: the vision-language model that this service is configured with, which is then sent the picture; where there is none or it fails, the built-in module answers and `degraded_checks` names `vlm`. */
  interpretation: "none" | "builtin" | "vlm";
  evidence: boolean;
  retention_s?: number | undefined;
  priority: "interactive" | "batch";
}

export interface AnalysisPage {
  object: "list";
  data: AnalysisSummary[];
  next_cursor: string | null;
}

export interface AnalysisSummary {
  id: string;
  object: "analysis";
  status: "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired";
  created_at: string;
  ended_at: string | null;
  expires_at: string | null;
  cached: boolean;
  verdict: "tampered" | "no_tampering_detected" | "inconclusive" | null;
  score: number | null;
}

export interface ApiKey {
  id: string;
  object: "api_key";
  name: string;
  /** The beginning of the key, by which its owner recognises it; it is no secret. */
  prefix: string;
  scopes: Array<"read" | "write" | "admin">;
  created_at: string;
  expires_at: string | null;
  /** To the minute. */
  last_used_at: string | null;
  revoked_at: string | null;
}

export interface ApiKeyList {
  object: "list";
  data: ApiKey[];
}

export interface Batch {
  id: string;
  object: "batch";
  status: "running" | "ended";
  created_at: string;
  ended_at: string | null;
  canceled_at: string | null;
  expires_at: string | null;
  metadata: Metadata;
  counts: {
    total: number;
    /** Not begun. */
    pending: number;
    running: number;
    succeeded: number;
    failed: number;
    canceled: number;
    /** Never became an analysis; the item's `error` says why. */
    refused: number;
  };
}

export interface BatchEvent {
  type: "batch.completed";
  /** When it happened; an attempt has its own in the headers. */
  timestamp: string;
  data: Batch;
}

export interface BatchItem {
  object: "batch_item";
  /** Its place in the request, from 0. */
  index: number;
  status: "pending" | "running" | "succeeded" | "failed" | "canceled" | "refused";
  analysis: string | null;
  /** Of a refused item; a failed analysis has its own. */
  error: Problem | null;
}

export interface BatchItemPage {
  object: "list";
  data: BatchItem[];
  next_cursor: string | null;
}

export interface BatchOptions {
  /** Probability from which a pixel counts as manipulated in mask and regions. Default: the release's. */
  threshold?: number | undefined;
  /** Files to make. `report` is JSON, `report_html` one self-contained page, `report_pdf` the same to print; leave out what you do not read where throughput counts. */
  outputs?: Array<"probability" | "mask" | "overlay" | "report" | "report_html" | "report_pdf"> | undefined;
  /** Who says what was done to a region. `vlm`: the vision-language model that this service is configured with, which is then sent the picture; where there is none or it fails, the built-in module answers and `degraded_checks` names `vlm`. */
  interpretation?: "none" | "builtin" | "vlm" | undefined;
  evidence?: boolean | undefined;
  retention_s?: number | undefined;
  priority?: "interactive" | "batch" | undefined;
}

export interface CreatedAccount {
  id: string;
  object: "account";
  name: string;
  created_at: string;
  disabled_at: string | null;
  requests_per_minute: number;
  in_flight_limit: number;
  monthly_quota: number;
  /** Seconds for which results are kept; `null`: as the deployment says. */
  retention_s: number | null;
  api_key: CreatedApiKey;
}

export interface CreatedApiKey {
  id: string;
  object: "api_key";
  name: string;
  /** The beginning of the key, by which its owner recognises it; it is no secret. */
  prefix: string;
  scopes: Array<"read" | "write" | "admin">;
  created_at: string;
  expires_at: string | null;
  /** To the minute. */
  last_used_at: string | null;
  revoked_at: string | null;
  /** Keep it now: only a hash of it is stored. `null` where the request only repeats an earlier one under the same Idempotency-Key. */
  key: string | null;
}

export interface CreatedWebhookEndpoint {
  id: string;
  object: "webhook_endpoint";
  /** `per_request`: the log and the secret of webhooks that requests name themselves; every account has one. */
  kind: "registered" | "per_request";
  url: string | null;
  /** `null`: all. */
  events: Array<"analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed"> | null;
  description: string;
  created_at: string | null;
  enabled: boolean;
  /** Why nothing is sent: its owner's wish, an answer of 410, or days of nothing but failures. */
  disabled: {
    at: string;
    reason: "owner" | "gone" | "failing";
    detail: string;
  } | null;
  /** First failure since the last success; after five days of this the endpoint is disabled. */
  failing_since: string | null;
  /** Deliveries that were given up and can be replayed. */
  dead_letters: number;
  /** Standard Webhooks: `whsec_` and base64. */
  secret: string;
}

export interface Erasure {
  object: "erasure";
  analysis: string;
  reason: "deleted" | "expired";
  erased_at: string;
  /** `complete`: nothing is left in storage, and no address by which a runner could store anything lives. */
  status: "sweeping" | "complete";
  /** Stored objects of this analysis, counted for this answer. */
  remaining: {
    input: number;
    record: number;
    results: number;
  };
  /** Other analyses of yours, of the same bytes and options, still have these results. */
  results_shared: boolean;
  /** When storage is swept once more, after the last address a runner was given has died. */
  final_sweep_at: string | null;
}

export interface Evidence {
  /** Of a closed list that only grows. */
  code: string;
  /** The check: compression, metadata, provenance, copy_move, resampling, method. */
  family: string;
  severity: "info" | "low" | "medium" | "high";
  /** What was found. */
  summary: string;
  /** What that says, and what it does not prove. */
  meaning: string;
  /** What a person should do about it; null: nothing. */
  next_step: string | null;
  details: Record<string, unknown>;
}

/** The newest that was sent; kept and erased with the analysis. */
export interface Feedback {
  finding: "right" | "wrong_region" | "false_alarm" | "missed";
  comment: string | null;
  at: string;
}

export interface ImageFacts {
  sha256: string;
  format: "jpeg" | "png" | "webp" | "tiff" | "avif" | "heic";
  /** As displayed, after the orientation tag. */
  width: number;
  height: number;
  bytes: number;
  orientation: number;
  /** More than one: only the first was analysed. */
  frames: number;
  jpeg: {
    quality: number | null;
    subsampling: string | null;
    progressive: boolean;
  } | null;
}

export interface IndexRebuild {
  object: "index_rebuild";
  /** Records that were read in this step. */
  records: number;
  /** Keys of records that are damaged; each is named in the log with the reason. */
  unreadable: string[];
  /** Where the next step begins; `null` after the last one. */
  next_cursor: string | null;
}

export interface InputQuality {
  code: string;
  summary: string;
}

/** Your own labels. */
export type Metadata = Record<string, string>;

export interface Model {
  name: "omni-iml";
  version: string;
  release: string;
  precision: "fp32";
  licence: string;
  thresholds: {
    pixel: number;
    tampered: number;
    clear: number;
    region_area_fraction: number;
  };
  training: Record<string, unknown>;
  figures: Record<string, unknown>;
  object: "model";
}

export interface NewAccount {
  name: string;
  requests_per_minute?: number | undefined;
  in_flight_limit?: number | undefined;
  monthly_quota?: number | undefined;
  /** Seconds for which results are kept; `null`: as the deployment says. */
  retention_s?: number | null | undefined;
}

export interface NewAnalysisOptions {
  /** Probability from which a pixel counts as manipulated in mask and regions. Default: the release's. */
  threshold?: number | undefined;
  /** Files to make. `report` is JSON, `report_html` one self-contained page, `report_pdf` the same to print; leave out what you do not read where throughput counts. */
  outputs?: Array<"probability" | "mask" | "overlay" | "report" | "report_html" | "report_pdf"> | undefined;
  /** Who says what was done to a region. `vlm`: the vision-language model that this service is configured with, which is then sent the picture; where there is none or it fails, the built-in module answers and `degraded_checks` names `vlm`. */
  interpretation?: "none" | "builtin" | "vlm" | undefined;
  evidence?: boolean | undefined;
  retention_s?: number | undefined;
  priority?: "interactive" | "batch" | undefined;
}

export interface NewBatch {
  items: NewBatchItem[];
  /** Of every item that has none of its own. */
  options?: BatchOptions | undefined;
  metadata?: Metadata | undefined;
  /** Told once, when all items have ended. */
  webhook?: RequestWebhook | undefined;
}

export type NewBatchItem = {
  /** A public http or https address that answers 200 with the image, at most 20 MiB, within 20 seconds and after at most three redirects. Private addresses are refused. */
  image_url: string;
  options?: BatchOptions | undefined;
  metadata?: Metadata | undefined;
} | {
  /** An upload whose file has been PUT; it can be used once. */
  upload_id: string;
  options?: BatchOptions | undefined;
  metadata?: Metadata | undefined;
};

export interface NewFeedback {
  /** `right`; `wrong_region`: manipulated, but elsewhere; `false_alarm`: authentic; `missed`: manipulated, but called authentic. */
  finding: "right" | "wrong_region" | "false_alarm" | "missed";
  comment?: string | undefined;
}

export interface NewUpload {
  /** Exactly as many as will be sent. */
  bytes: number;
  content_type: "image/jpeg" | "image/png" | "image/webp" | "image/tiff" | "image/avif" | "image/heic" | "application/octet-stream";
  filename?: string | undefined;
}

export interface NewWebhookEndpoint {
  /** https; http only where the service runs for development. Private addresses are refused. */
  url: string;
  /** Only these events are sent; all, where this is left out. */
  events?: Array<"analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed"> | undefined;
  description?: string | undefined;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
  remedy: string;
  retryable: boolean;
  instance?: string | undefined;
  errors?: Array<{
    path: string;
    message: string;
  }> | undefined;
}

export type ProblemCode = "invalid_request" | "empty_body" | "image_too_large" | "image_too_many_pixels" | "image_too_small" | "image_corrupt" | "image_crashes_analysis" | "unsupported_media_type" | "image_url_refused" | "image_url_failed" | "upload_not_ready" | "upload_used" | "idempotency_key_reused" | "unauthorized" | "forbidden" | "last_admin_key" | "limit_reached" | "endpoint_disabled" | "rate_limited" | "quota_exceeded" | "too_many_in_flight" | "not_found" | "method_not_allowed" | "gone" | "overloaded" | "storage_unavailable" | "internal_error" | "input_changed" | "input_unavailable" | "output_unavailable" | "inference_crashed" | "release_mismatch" | "runner_busy" | "runner_unavailable" | "deadline_exceeded" | "attempts_exhausted";

export interface Region {
  id: string;
  bbox: {
    x: number;
    y: number;
    width: number;
    height: number;
  };
  /** Outer contour, pixels, not closed. */
  polygon: [number, number][];
  area_fraction: number;
  /** Mean probability inside the region. */
  score: number;
  manipulation: "splice" | "copy_move" | "removal" | "local_edit" | "generated" | "text_replace" | "text_insert" | "text_erase" | "mark_insert" | "face_swap" | "retouch" | null;
  /** What gives it away, the most probable first. */
  artifacts: Array<"edge" | "lighting" | "noise" | "resolution" | "compression" | "texture" | "alignment" | "font" | "colour" | "repetition" | "geometry" | "semantics">;
  position: {
    absolute: "upper left" | "upper centre" | "upper right" | "middle left" | "centre" | "middle right" | "lower left" | "lower centre" | "lower right" | "most of the image";
    /** To the nearest other region. */
    relative: string | null;
  };
  /** The text in the region, in documents and scene text, where it could be read. */
  content: string | null;
  /** The text recogniser's own confidence, not calibrated; nothing is told below .8. null without text. */
  content_confidence: number | null;
  /** null where none was wanted, or where no module looked at the region. */
  interpretation: RegionInterpretation | null;
}

export interface RegionInterpretation {
  /** Who chose kind, artifacts and words. */
  source: "builtin" | "vlm";
  /** `true_region` in words. */
  certainty: "almost_certain" | "very_likely" | "likely" | "uncertain" | "unlikely" | null;
  /** Calibrated probability that the region was manipulated at all, never above `score`; always the built-in module's. */
  true_region: number | null;
  /** Calibrated probability of `manipulation`; null where a language model chose it. */
  manipulation_probability: number | null;
  /** One for each of `artifacts`, in the same order. */
  reasons: Array<{
    artifact: "edge" | "lighting" | "noise" | "resolution" | "compression" | "texture" | "alignment" | "font" | "colour" | "repetition" | "geometry" | "semantics";
    probability: number | null;
    description: string;
  }>;
  description: string;
}

export interface RequestWebhook {
  /** https; http only where the service runs for development. Private addresses are refused. */
  url: string;
  /** Only these events are sent; all, where this is left out. */
  events?: Array<"analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed"> | undefined;
}

export interface ResultFile {
  url: string;
  expires_at: string;
  content_type: string;
  bytes: number;
  sha256: string;
}

export interface RotateWebhookSecret {
  /** Seconds for which messages are also signed with the old secret. */
  expire_old_in_s?: number | undefined;
}

export interface StageChange {
  stage: string;
  progress: number | null;
  attempt: number;
  at: string;
}

export interface StatusChange {
  status: "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired";
  at: string;
}

export interface TestEvent {
  type: "webhook.test";
  /** When it happened; an attempt has its own in the headers. */
  timestamp: string;
  data: {
    endpoint: string;
  };
}

export interface Upload {
  id: string;
  object: "upload";
  /** `pending`: nothing was PUT yet; `uploaded`: the file is there; `used`: it has become `analysis`. */
  status: "pending" | "uploaded" | "used";
  created_at: string;
  /** What was not used by then is erased. */
  expires_at: string;
  bytes: number;
  content_type: "image/jpeg" | "image/png" | "image/webp" | "image/tiff" | "image/avif" | "image/heic" | "application/octet-stream";
  filename: string | null;
  /** Where to PUT the file, with exactly these headers; they are signed. `null` once it is used. */
  put: {
    url: string;
    headers: Record<string, string>;
    expires_at: string;
  } | null;
  analysis: string | null;
}

export interface Usage {
  object: "usage";
  month: {
    month: string;
    quota: number;
    used: number;
    remaining: number;
    resets_at: string;
  };
  in_flight: {
    limit: number;
    used: number;
  };
  /** Days on which something happened, oldest first. */
  days: UsageDay[];
}

export interface UsageDay {
  date: string;
  /** Accepted on this day; these count against the quota. */
  analyses: number;
  /** Ended on this day, like the next three. */
  succeeded: number;
  failed: number;
  canceled: number;
  /** Of those that succeeded: answered without the model. */
  cached: number;
  /** Of the images of those that ended. */
  bytes: number;
}

export interface WebhookAttempt {
  at: string;
  /** The HTTP status, or `null` where no answer came. */
  status: number | null;
  duration_ms: number | null;
  /** Why it does not count as delivered. */
  error: string | null;
}

export interface WebhookDelivery {
  /** The message's `webhook-id`, the same for every attempt and endpoint. */
  id: string;
  object: "webhook_delivery";
  type: "analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed" | "webhook.test";
  /** The id of what the event is about. */
  subject: string | null;
  url: string;
  /** `pending`: on its way or waiting for the next attempt; `dead`: given up, can be replayed; `dropped`: what it was about was deleted first. */
  status: "pending" | "succeeded" | "dead" | "dropped";
  created_at: string;
  next_attempt_at: string | null;
  /** Every attempt, oldest first. */
  attempts: WebhookAttempt[];
}

export interface WebhookDeliveryPage {
  object: "list";
  data: WebhookDelivery[];
  next_cursor: string | null;
}

export interface WebhookEndpoint {
  id: string;
  object: "webhook_endpoint";
  /** `per_request`: the log and the secret of webhooks that requests name themselves; every account has one. */
  kind: "registered" | "per_request";
  url: string | null;
  /** `null`: all. */
  events: Array<"analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed"> | null;
  description: string;
  created_at: string | null;
  enabled: boolean;
  /** Why nothing is sent: its owner's wish, an answer of 410, or days of nothing but failures. */
  disabled: {
    at: string;
    reason: "owner" | "gone" | "failing";
    detail: string;
  } | null;
  /** First failure since the last success; after five days of this the endpoint is disabled. */
  failing_since: string | null;
  /** Deliveries that were given up and can be replayed. */
  dead_letters: number;
}

export interface WebhookEndpointChange {
  /** https; http only where the service runs for development. Private addresses are refused. */
  url?: string | undefined;
  /** `null`: all events. */
  events?: Array<"analysis.succeeded" | "analysis.failed" | "analysis.canceled" | "batch.completed"> | null | undefined;
  description?: string | undefined;
  /** `true` also brings back an endpoint that was disabled. */
  enabled?: boolean | undefined;
}

export interface WebhookEndpointList {
  object: "list";
  data: WebhookEndpoint[];
}

export type WebhookMessage = AnalysisEvent | BatchEvent | TestEvent;

export interface WebhookReplay {
  object: "webhook_replay";
  replayed: number;
}

export interface WebhookSecret {
  object: "webhook_secret";
  /** Standard Webhooks: `whsec_` and base64. */
  secret: string;
  /** Until then every message carries signatures of both the old and the new secret. */
  previous_expires_at: string | null;
}
