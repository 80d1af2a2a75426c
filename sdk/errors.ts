/** What a call can throw. Each refusal of the service is a {@link ProblemError} with the service's own document. */
import type { Problem, ProblemCode } from "./resources.ts";

export class OmniImlError extends Error {
  override readonly name: string = "OmniImlError";
}

/** No answer came: the network failed, or it took longer than the call's time-out. */
export class ConnectionError extends OmniImlError {
  override readonly name: string = "ConnectionError";
}

/** An answer came that is not one of this API: a proxy's error page, or a service of another version. */
export class UnexpectedAnswerError extends OmniImlError {
  override readonly name: string = "UnexpectedAnswerError";
  readonly status: number;
  /** Seconds of the `Retry-After` header. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, more: { cause?: unknown; retryAfter?: number | undefined } = {}) {
    super(message, { cause: more.cause });
    this.status = status;
    this.retryAfter = more.retryAfter;
  }
}

/** It had not ended when the time given to `wait` was over. It goes on: ask for it again by its id. */
export class WaitTimeoutError extends OmniImlError {
  override readonly name: string = "WaitTimeoutError";
  /** Of the analysis or batch. */
  readonly id: string;

  constructor(id: string, seconds: number) {
    super(`${id} had not ended after ${seconds} s`);
    this.id = id;
  }
}

/** What came is not a message of this service, or too old to be taken: do not act on it. */
export class WebhookVerificationError extends OmniImlError {
  override readonly name: string = "WebhookVerificationError";
}

/** The service refused: `problem` is its RFC 9457 document, `code` one of the closed list. */
export class ProblemError extends OmniImlError {
  override readonly name: string = "ProblemError";
  readonly problem: Problem;
  /** Seconds of the `Retry-After` header. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(`${problem.title} (${problem.code}): ${problem.detail} ${problem.remedy}`);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  get status(): number {
    return this.problem.status;
  }

  get code(): ProblemCode {
    return this.problem.code;
  }
}

/** What was sent cannot be analysed; the same request will be refused again. */
export class InvalidInputError extends ProblemError {
  override readonly name = "InvalidInputError";
}
/** The address of an image was refused or did not answer with an image. */
export class ImageUrlError extends ProblemError {
  override readonly name = "ImageUrlError";
}
/** No API key, or none that is valid. */
export class AuthenticationError extends ProblemError {
  override readonly name = "AuthenticationError";
}
/** The key lacks a scope. */
export class PermissionError extends ProblemError {
  override readonly name = "PermissionError";
}
/** There is no such thing in this account. */
export class NotFoundError extends ProblemError {
  override readonly name = "NotFoundError";
}
/** It has expired or was deleted. */
export class GoneError extends ProblemError {
  override readonly name = "GoneError";
}
/** What is there already stands against it. */
export class ConflictError extends ProblemError {
  override readonly name = "ConflictError";
}
/** This `idempotencyKey` belongs to another request. */
export class IdempotencyError extends ProblemError {
  override readonly name = "IdempotencyError";
}
/** Too much at once, and still refused after the client's own retries. */
export class RateLimitError extends ProblemError {
  override readonly name: string = "RateLimitError";
}
/** The month's quota is used up; `retryAfter` says for how many seconds. */
export class QuotaExceededError extends RateLimitError {
  override readonly name = "QuotaExceededError";
}
/** The service could not do it. */
export class ServiceError extends ProblemError {
  override readonly name = "ServiceError";
}

type Kind = new (problem: Problem, retryAfter?: number) => ProblemError;

const byCode: Readonly<Record<ProblemCode, Kind>> = {
  invalid_request: InvalidInputError,
  empty_body: InvalidInputError,
  image_too_large: InvalidInputError,
  image_too_many_pixels: InvalidInputError,
  image_too_small: InvalidInputError,
  image_corrupt: InvalidInputError,
  image_crashes_analysis: InvalidInputError,
  unsupported_media_type: InvalidInputError,
  method_not_allowed: InvalidInputError,
  image_url_refused: ImageUrlError,
  image_url_failed: ImageUrlError,
  upload_not_ready: ConflictError,
  upload_used: ConflictError,
  last_admin_key: ConflictError,
  limit_reached: ConflictError,
  endpoint_disabled: ConflictError,
  input_changed: ConflictError,
  idempotency_key_reused: IdempotencyError,
  unauthorized: AuthenticationError,
  forbidden: PermissionError,
  not_found: NotFoundError,
  gone: GoneError,
  rate_limited: RateLimitError,
  too_many_in_flight: RateLimitError,
  runner_busy: RateLimitError,
  quota_exceeded: QuotaExceededError,
  overloaded: ServiceError,
  storage_unavailable: ServiceError,
  internal_error: ServiceError,
  input_unavailable: ServiceError,
  output_unavailable: ServiceError,
  inference_crashed: ServiceError,
  release_mismatch: ServiceError,
  runner_unavailable: ServiceError,
  deadline_exceeded: ServiceError,
  attempts_exhausted: ServiceError,
};

/** The error of a problem document, of the class that its code names. A newer service may know codes that are not here. */
export function problemError(problem: Problem, retryAfter?: number): ProblemError {
  const known: Readonly<Partial<Record<string, Kind>>> = byCode;
  const Kind = known[problem.code] ?? (problem.status >= 500 ? ServiceError : ProblemError);
  return new Kind(problem, retryAfter);
}

/** Whether `error` is the service's refusal with one of these codes. */
export function isProblem<Code extends ProblemCode>(
  error: unknown,
  ...codes: Code[]
): error is ProblemError & { readonly code: Code } {
  return error instanceof ProblemError && codes.some((code) => code === error.code);
}
