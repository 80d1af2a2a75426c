/** One request to the service: key, time-out, retries, and its refusals as typed errors. */
import { parseRetryAfter, pause, retryDelay } from "./backoff.ts";
import { ConnectionError, type ProblemError, problemError, UnexpectedAnswerError } from "./errors.ts";
import type { Problem } from "./resources.ts";

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

/** What every call takes beside its own parameters. */
export interface CallOptions {
  /** Ends the call, its retries and its pauses, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** In place of the client's. */
  maxRetries?: number | undefined;
  /** Seconds for one try, in place of the client's. */
  timeout?: number | undefined;
}

/** What a call takes that changes something. */
export interface WriteOptions extends CallOptions {
  /**
   * Makes repeating the call safe for 24 hours, also from another process. Without one, each call has a random one of
   * its own, for its retries.
   */
  idempotencyKey?: string | undefined;
}

export interface Call extends WriteOptions {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Query | undefined;
  body?: FormData;
  /** Sent as a JSON body. */
  json?: object | undefined;
  headers?: Record<string, string>;
  /** Seconds the service may hold the answer back until the analysis has ended (`Prefer: wait`). */
  wait?: number | undefined;
  /** The body is read as it comes, and the time-out is that of its beginning. */
  stream?: boolean;
}

/** Parameters of the address; those that are `undefined` are left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

type Failure = ProblemError | UnexpectedAnswerError | ConnectionError;

/** Statuses after which the same request may succeed. With an idempotency key it does not matter what was accepted. */
const transient = new Set([408, 429, 500, 502, 503, 504]);
/** Seconds; whoever is asked to come back later than that is told so instead of being kept waiting. */
const longestRetryAfter = 120;

export class Transport {
  readonly #config: TransportConfig;

  constructor(config: TransportConfig) {
    this.#config = config;
  }

  /**
   * The answer if its status is 2xx. Throws {@link ProblemError}, {@link UnexpectedAnswerError},
   * {@link ConnectionError} or the signal's reason.
   */
  send(call: Call): Promise<Response> {
    const key = call.method === "POST" ? (call.idempotencyKey ?? crypto.randomUUID()) : undefined;
    const { timeout = this.#config.timeout } = call;
    const headers = {
      authorization: `Bearer ${this.#config.apiKey}`,
      accept: "application/json, application/problem+json",
      ...(call.wait === undefined ? {} : { prefer: call.wait > 0 ? `wait=${call.wait}` : "respond-async" }),
      ...(call.json === undefined ? {} : { "content-type": "application/json" }),
      ...(key === undefined ? {} : { "idempotency-key": key }),
      ...call.headers,
    };
    const body = call.json === undefined ? call.body : JSON.stringify(call.json);
    const url = this.#config.baseUrl + call.path + queryString(call.query);
    const request = { method: call.method, headers, ...(body === undefined ? {} : { body }) };
    return this.#repeat(url, request, { ...call, timeout: timeout + (call.wait ?? 0) }, call.stream);
  }

  /** PUTs a file to a signed address of storage, which wants no key and has refusals of its own. */
  async put(url: string, headers: Record<string, string>, body: Blob, options: CallOptions): Promise<void> {
    // Whoever sends knows the length of a Blob, and a browser does not let it be named.
    const { "content-length": _, ...named } = headers;
    await this.#repeat(url, { method: "PUT", headers: named, body }, options);
  }

  async #repeat(url: string, request: RequestInit, options: CallOptions, stream = false): Promise<Response> {
    const { signal, maxRetries = this.#config.maxRetries, timeout = this.#config.timeout } = options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#try(url, request, { timeout, signal, stream });
      if (outcome instanceof Response) return outcome;
      if (attempt > maxRetries || !mayRetry(outcome)) throw outcome;
      await pause(retryDelay(attempt, "retryAfter" in outcome ? outcome.retryAfter : undefined), signal);
    }
  }

  async #try(
    url: string,
    request: RequestInit,
    { timeout, signal, stream }: { timeout: number; signal: AbortSignal | undefined; stream: boolean },
  ): Promise<Response | Failure> {
    const expiry = new AbortController();
    const timer = setTimeout(() => expiry.abort(new Error(`no answer within ${timeout} s`)), 1000 * timeout);
    try {
      const either = signal ? AbortSignal.any([signal, expiry.signal]) : expiry.signal;
      const response = await this.#config.fetch(url, { ...request, signal: either });
      if (!response.ok) return await refusal(response);
      if (stream) return response;
      // A body that breaks off or never ends is no answer either.
      const body = await response.arrayBuffer();
      return new Response(body.byteLength === 0 ? null : body, response);
    } catch (cause) {
      signal?.throwIfAborted();
      // Signed addresses end here, too, and their signatures are nobody's business.
      return new ConnectionError(`${request.method} ${url.replace(/\?.*/, "")} got no answer`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}

async function refusal(response: Response): Promise<ProblemError | UnexpectedAnswerError> {
  const text = await response.text();
  const retryAfter = parseRetryAfter(response.headers.get("retry-after"));
  let cause: unknown;
  try {
    const document: unknown = JSON.parse(text);
    if (isProblemDocument(document)) return problemError(document, retryAfter);
  } catch (error) {
    cause = error;
  }
  const message = `status ${response.status} without a problem document: ${text.slice(0, 200)}`;
  return new UnexpectedAnswerError(response.status, message, { cause, retryAfter });
}

function isProblemDocument(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    "code" in value &&
    typeof value.code === "string" &&
    "status" in value &&
    typeof value.status === "number"
  );
}

function mayRetry(failure: Failure): boolean {
  if (failure instanceof ConnectionError) return true;
  return transient.has(failure.status) && (failure.retryAfter ?? 0) <= longestRetryAfter;
}

function queryString(query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  return parameters.size === 0 ? "" : `?${parameters}`;
}
