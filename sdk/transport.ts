/** One request to the service: key, time-out, retries, and its refusals as typed errors. */
import { problemDocument } from "@omni-iml/shared/problems";
import { parseRetryAfter, pause, retryDelay } from "./backoff.ts";
import { ConnectionError, type OmniImlError, problemError, UnexpectedAnswerError } from "./errors.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface TransportConfig {
  apiKey: string;
  /** Without a trailing slash. */
  baseUrl: string;
  fetch: Fetch;
  /** How often a request is sent again at most. */
  maxRetries: number;
  /** Seconds for one try, beyond the seconds the service was asked to wait. */
  timeout: number;
}

export interface Call {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: FormData;
  /** Sent as a JSON body. */
  json?: object;
  /** Seconds the service may hold the answer back until the analysis has ended (`Prefer: wait`). */
  wait?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** After a refusal with one of these nothing was accepted, so that every method may be sent again. */
const refusedWithoutEffect = new Set([429, 503]);

export class Transport {
  readonly #config: TransportConfig;

  constructor(config: TransportConfig) {
    this.#config = config;
  }

  /** The answer if its status is 2xx; throws {@link ProblemError}, {@link ConnectionError} or the signal's reason. */
  async send(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const error = await this.#try(call);
      if (error instanceof Response) return error;
      if (attempt > this.#config.maxRetries || !mayRetry(call, error)) throw error;
      await pause(retryDelay(attempt, "retryAfter" in error ? error.retryAfter : undefined), call.signal);
    }
  }

  async #try(call: Call): Promise<Response | ReturnType<typeof problemError> | ConnectionError> {
    const { apiKey, baseUrl, timeout } = this.#config;
    const expiry = AbortSignal.timeout(1000 * (timeout + (call.wait ?? 0)));
    let response: Response;
    try {
      response = await this.#config.fetch(baseUrl + call.path, {
        method: call.method,
        headers: {
          authorization: `Bearer ${apiKey}`,
          accept: "application/json, application/problem+json",
          ...(call.wait === undefined ? {} : { prefer: call.wait > 0 ? `wait=${call.wait}` : "respond-async" }),
          ...(call.json === undefined ? {} : { "content-type": "application/json" }),
        },
        signal: call.signal ? AbortSignal.any([call.signal, expiry]) : expiry,
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(call.json === undefined ? {} : { body: JSON.stringify(call.json) }),
      });
    } catch (cause) {
      call.signal?.throwIfAborted();
      return new ConnectionError(`${call.method} ${baseUrl}${call.path} got no answer`, { cause });
    }
    return response.ok ? response : refusal(response);
  }
}

async function refusal(response: Response) {
  const text = await response.text();
  try {
    return problemError(problemDocument.parse(JSON.parse(text)), parseRetryAfter(response.headers.get("retry-after")));
  } catch (cause) {
    throw new UnexpectedAnswerError(
      response.status,
      `status ${response.status} without a problem document: ${text.slice(0, 200)}`,
      cause,
    );
  }
}

/** A POST whose connection broke may have been accepted, and sending it again would make a second analysis. */
function mayRetry(call: Call, error: OmniImlError & { status?: number }): boolean {
  if (error instanceof ConnectionError) return call.method !== "POST";
  return error.status !== undefined && refusedWithoutEffect.has(error.status);
}
