/** What a call can throw. Each refusal of the service is a {@link ProblemError} with the service's own document. */
import type { ProblemCode, ProblemDocument } from "@omni-iml/shared/problems";

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

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

/** The analysis had not ended when the time given to `wait` was over. It goes on: ask for it again by its id. */
export class WaitTimeoutError extends OmniImlError {
  override readonly name: string = "WaitTimeoutError";
  readonly analysisId: string;

  constructor(analysisId: string, seconds: number) {
    super(`analysis ${analysisId} had not ended after ${seconds} s`);
    this.analysisId = analysisId;
  }
}

/** The service refused: `problem` is its RFC 9457 document, `code` one of the closed list. */
export class ProblemError extends OmniImlError {
  override readonly name: string = "ProblemError";
  readonly problem: ProblemDocument;
  /** Seconds of the `Retry-After` header. */
  readonly retryAfter: number | undefined;

  constructor(problem: ProblemDocument, retryAfter?: number) {
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

/** 400, 409, 413, 415, 422: what was sent cannot be analysed; the same request will be refused again. */
export class InvalidInputError extends ProblemError {
  override readonly name = "InvalidInputError";
}
/** 401: no API key, or none that is valid. */
export class AuthenticationError extends ProblemError {
  override readonly name = "AuthenticationError";
}
/** 403: the key lacks a scope. */
export class PermissionError extends ProblemError {
  override readonly name = "PermissionError";
}
/** 404: there is no such analysis in this account. */
export class NotFoundError extends ProblemError {
  override readonly name = "NotFoundError";
}
/** 410: the analysis has expired or was deleted. */
export class GoneError extends ProblemError {
  override readonly name = "GoneError";
}
/** 429, still refused after the client's own retries. */
export class RateLimitError extends ProblemError {
  override readonly name = "RateLimitError";
}
/** 5xx. */
export class ServiceError extends ProblemError {
  override readonly name = "ServiceError";
}

const byStatus: Readonly<Record<number, new (problem: ProblemDocument, retryAfter?: number) => ProblemError>> = {
  400: InvalidInputError,
  401: AuthenticationError,
  403: PermissionError,
  404: NotFoundError,
  409: InvalidInputError,
  410: GoneError,
  413: InvalidInputError,
  415: InvalidInputError,
  422: InvalidInputError,
  429: RateLimitError,
};

/** The error of a problem document, of the class that its status names. */
export function problemError(problem: ProblemDocument, retryAfter?: number): ProblemError {
  const Kind = byStatus[problem.status] ?? (problem.status >= 500 ? ServiceError : ProblemError);
  return new Kind(problem, retryAfter);
}
