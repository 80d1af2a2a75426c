/**
 * The closed list of problems this service can answer with (RFC 9457, `application/problem+json`).
 *
 * One code has one HTTP status, one title and one remedy; what happened in a particular case goes into `detail`.
 * `retryable` says whether sending the very same request again can succeed.
 */
import { z } from "zod";

type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 502 | 503 | 504;

interface ProblemKind {
  readonly status: ProblemStatus;
  readonly title: string;
  /** When it happens, for the documentation; what happened in one case is the document's `detail`. */
  readonly cause: string;
  /** What the caller can do about it, in one sentence. */
  readonly remedy: string;
  readonly retryable: boolean;
}

const kinds = {
  // What was sent
  invalid_request: {
    status: 400,
    title: "The request is not valid",
    cause: "A field, parameter or header is missing, unknown, of another type or out of bounds.",
    remedy: "Compare the request with /openapi.json; `errors` names each field that does not fit.",
    retryable: false,
  },
  empty_body: {
    status: 400,
    title: "No image was sent",
    cause: "The body is empty, or the form has no field `image`, or that field has no bytes.",
    remedy: "Send the image as multipart field `image` or as a raw body with an image content type.",
    retryable: false,
  },
  image_too_large: {
    status: 413,
    title: "The image has too many bytes",
    cause: "The file is longer than may be sent in a request or fetched from an address.",
    remedy: "Send at most 20 MiB in the request, or use /v1/uploads for files up to 200 MB.",
    retryable: false,
  },
  image_too_many_pixels: {
    status: 422,
    title: "The image has too many pixels",
    cause: "Width times height is beyond what the runner may hold in memory.",
    remedy: "Send an image within the pixel limit named in `detail`, without resampling where possible: crop it.",
    retryable: false,
  },
  image_too_small: {
    status: 422,
    title: "The image is too small to analyse",
    cause: "Below 64 pixels on the shorter side there are too few blocks to compare with each other.",
    remedy: "Send an image of at least 64 pixels on its shorter side, as large as the original.",
    retryable: false,
  },
  image_corrupt: {
    status: 422,
    title: "The image cannot be decoded",
    cause: "The file begins like an image, but it is cut off, damaged, or not what it says.",
    remedy: "Open the file in a viewer to check that it is whole, then send it again.",
    retryable: false,
  },
  image_crashes_analysis: {
    status: 422,
    title: "This image brings the analysis down",
    cause: "The inference process ended twice while it analysed this very file.",
    remedy: "Open the file in an editor and save it again as PNG or JPEG, then send that; and report it, please.",
    retryable: false,
  },
  unsupported_media_type: {
    status: 415,
    title: "This file is not a supported image",
    cause: "The first bytes are those of no image format that is read here, or the body is declared as something else.",
    remedy: "Send JPEG, PNG, WebP, TIFF, AVIF or HEIC; render a PDF's pages to PNG at 200 dpi or more first.",
    retryable: false,
  },
  image_url_refused: {
    status: 422,
    title: "The address of the image is not fetched",
    cause: "The address is not http or https, or it leads, itself or by a redirect, to something that is not public.",
    remedy: "Name a public http or https address that answers with an image, or send the image itself.",
    retryable: false,
  },
  image_url_failed: {
    status: 422,
    title: "The image could not be fetched",
    cause: "The address does not answer, not in time, not with 200, not with an image, or with too many redirects.",
    remedy: "Check that the address answers 200 with the image in time, then send the request again.",
    retryable: true,
  },
  upload_not_ready: {
    status: 409,
    title: "Nothing lies at the upload's address yet",
    cause: "The upload was announced, but the file was not PUT yet, or not all of it.",
    remedy: "PUT the file to the upload's `url` with the headers it names, then send this request again.",
    retryable: true,
  },
  upload_used: {
    status: 409,
    title: "The upload has become an analysis already",
    cause: "An upload becomes one analysis.",
    remedy: "Read the analysis named in `detail`, or make a new upload for another one.",
    retryable: false,
  },
  idempotency_key_reused: {
    status: 422,
    title: "This Idempotency-Key was used for another request",
    cause: "The same key came with another payload within 24 hours.",
    remedy: "Use a new key for a new request; a key belongs to one payload for 24 hours.",
    retryable: false,
  },
  // Who asks
  unauthorized: {
    status: 401,
    title: "A valid API key is needed",
    cause: "No key was sent, or one that does not exist, has expired, was revoked, or belongs to a disabled account.",
    remedy: "Send `Authorization: Bearer omni_…` with a key that has not expired or been revoked.",
    retryable: false,
  },
  forbidden: {
    status: 403,
    title: "This key may not do that",
    cause: "The key is valid and lacks the scope, or the account is not one that runs the deployment.",
    remedy: "Use a key that has the scope named in `detail`.",
    retryable: false,
  },
  last_admin_key: {
    status: 409,
    title: "Without this key nobody could manage the account's keys",
    cause: "The key to be revoked is the last valid one of its account with the scope `admin`.",
    remedy: "Create another key with the scope admin first, or roll this one.",
    retryable: false,
  },
  limit_reached: {
    status: 409,
    title: "The account has as many of these as it may have",
    cause: "An account has at most so many keys or webhook endpoints.",
    remedy: "Delete or revoke what is no longer used.",
    retryable: false,
  },
  endpoint_disabled: {
    status: 409,
    title: "The webhook endpoint is disabled",
    cause: "Its owner disabled it, it answered 410, or it failed for days; `disabled` says which.",
    remedy: "Enable it with PATCH `enabled: true`, then send this request again.",
    retryable: false,
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    cause: "The account sent more requests than it may in a minute, or the address sent too many without a valid key.",
    remedy: "Wait for the seconds named in Retry-After; the RateLimit headers say what is left.",
    retryable: true,
  },
  quota_exceeded: {
    status: 429,
    title: "The account's quota is used up",
    cause: "The account has had as many analyses accepted this month (UTC) as it may.",
    remedy: "Wait for the quota's next period or ask for a larger one.",
    retryable: true,
  },
  too_many_in_flight: {
    status: 429,
    title: "Too many analyses of this account are under way",
    cause: "More analyses of the account wait or run than it may have at a time.",
    remedy: "Wait for some of them to end, then send this one again.",
    retryable: true,
  },
  // What was asked for
  not_found: {
    status: 404,
    title: "Nothing is found at this address",
    cause: "The id or the address does not exist, or it belongs to another account.",
    remedy: "Check the id; an id of another account is answered in the same way.",
    retryable: false,
  },
  method_not_allowed: {
    status: 405,
    title: "This address does not answer that method",
    cause: "The address exists and takes other methods.",
    remedy: "Use one of the methods in the Allow header.",
    retryable: false,
  },
  gone: {
    status: 410,
    title: "This has expired or was deleted",
    cause: "It was deleted, or its retention is over.",
    remedy: "Send the image again for a new analysis.",
    retryable: false,
  },
  // What the service could not do
  overloaded: {
    status: 503,
    title: "The service is at its limit",
    cause: "The isolate has as many images in hand as it can hold, or something that it depends on does not answer.",
    remedy: "Send the request again after the seconds named in Retry-After.",
    retryable: true,
  },
  storage_unavailable: {
    status: 503,
    title: "Object storage does not answer",
    cause: "Writing to or reading from object storage failed.",
    remedy: "Send the request again; nothing was accepted.",
    retryable: true,
  },
  internal_error: {
    status: 500,
    title: "Something went wrong on our side",
    cause: "An error that was not foreseen; it is logged under the `instance`.",
    remedy: "Send the request again; if it persists, report the `instance` value.",
    retryable: true,
  },
  // How a job can fail after it was accepted
  input_changed: {
    status: 409,
    title: "The stored input is not the one that was accepted",
    cause: "What the runner read has another hash than what was accepted.",
    remedy: "Send the image again.",
    retryable: false,
  },
  input_unavailable: {
    status: 502,
    title: "The stored input could not be read",
    cause: "The runner could not fetch the input from storage.",
    remedy: "The job is tried again by itself.",
    retryable: true,
  },
  output_unavailable: {
    status: 502,
    title: "The results could not be stored",
    cause: "The runner could not put the results into storage.",
    remedy: "The job is tried again by itself.",
    retryable: true,
  },
  inference_crashed: {
    status: 502,
    title: "The inference process ended unexpectedly",
    cause: "The process that runs the model ended, or its answer broke off.",
    remedy: "The job is tried again by itself.",
    retryable: true,
  },
  release_mismatch: {
    status: 409,
    title: "The runner serves another model release",
    cause: "Edge and runner were deployed from different releases of the model.",
    remedy: "The job is tried again by itself; deploy the edge and the runner from one release.",
    retryable: true,
  },
  runner_busy: {
    status: 429,
    title: "The runner is at its limit",
    cause: "All runners have as many pixels queued as they may.",
    remedy: "The job is tried again by itself after Retry-After.",
    retryable: true,
  },
  runner_unavailable: {
    status: 503,
    title: "No GPU runner answers",
    cause: "No runner can be reached, or none is ready.",
    remedy: "The job is tried again by itself.",
    retryable: true,
  },
  deadline_exceeded: {
    status: 504,
    title: "The analysis did not end in time",
    cause: "It waited or ran longer than a job of its priority may.",
    remedy: "Send the image again later.",
    retryable: true,
  },
  attempts_exhausted: {
    status: 502,
    title: "The analysis failed on every attempt",
    cause: "Every attempt failed for reasons that might have passed, and did not.",
    remedy: "Send the image again later; if it persists, report the analysis id.",
    retryable: true,
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof kinds;

export const problemKinds: Readonly<Record<ProblemCode, ProblemKind>> = kinds;

export const problemCode = z.enum(Object.keys(kinds) as [ProblemCode, ...ProblemCode[]]);

/** The body of every refusal. */
export const problemDocument = z
  .object({
    type: z.string().meta({ example: "https://omni-iml.dev/problems/image_too_large" }),
    title: z.string(),
    status: z.int(),
    code: problemCode,
    detail: z.string(),
    remedy: z.string(),
    retryable: z.boolean(),
    /** The request or job this is about; quote it in a report. */
    instance: z.string().optional(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({
    id: "Problem",
    example: {
      type: "https://omni-iml.dev/problems/invalid_request",
      title: kinds.invalid_request.title,
      status: 400,
      code: "invalid_request",
      detail: "options.treshold: is not known here",
      remedy: kinds.invalid_request.remedy,
      retryable: false,
      instance: "rq_01kaw4v3r8h7t2m9c5x1q6zd0e",
      errors: [{ path: "options.treshold", message: "is not known here" }],
    },
  });
export type ProblemDocument = z.infer<typeof problemDocument>;

/** An error that is meant for the caller. Its `cause` stays inside. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly errors: ProblemDocument["errors"];
  /** Seconds for `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    more: { cause?: unknown; errors?: ProblemDocument["errors"]; retryAfter?: number } = {},
  ) {
    super(detail, { cause: more.cause });
    this.code = code;
    this.errors = more.errors;
    this.retryAfter = more.retryAfter;
  }

  get status(): ProblemStatus {
    return problemKinds[this.code].status;
  }

  document(instance?: string): ProblemDocument {
    const { status, title, remedy, retryable } = problemKinds[this.code];
    return {
      type: `https://omni-iml.dev/problems/${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.message,
      remedy,
      retryable,
      ...(instance === undefined ? {} : { instance }),
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    };
  }
}
