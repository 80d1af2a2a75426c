/**
 * The one way to addresses that customers name: `image_url` and webhook endpoints.
 *
 * Every request has a limit in time and in bytes, redirects are followed by hand (each of them is judged as if it had
 * been named in the first place), and addresses that are not public are refused by the address that is connected to:
 * by the platform's `fetch` where there is no other way out of the worker than the public internet (production), and
 * by the proxy at EGRESS_PROXY_URL, which resolves, checks and connects to what it checked, everywhere else.
 */
import { signedHeaders } from "@omni-iml/shared/signature";
import type { Settings } from "../environment.ts";
import {
  type ForwardFailure,
  type ForwardRequest,
  forwardFailure,
  forwardPath,
  passedHeaders,
  statusHeader,
} from "./forwarding.ts";
import { isPublicAddress, isPublicName, literalAddress } from "./public-address.ts";

interface Limits {
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Milliseconds for everything: redirects, headers and body. */
  timeout: number;
  /** The longest body that `read` takes, in bytes. */
  maxBytes: number;
}

export type EgressRequest = Limits &
  (
    | {
        method: "GET";
        /** How many redirects are followed. */
        redirects: number;
        /** Whether a body of this `content-type` (lower case, without parameters) is wanted; `null`: none was named. */
        accepts?: (contentType: string | null) => boolean;
      }
    /** Never follows a redirect: its 3xx is the answer. */
    | { method: "POST"; body: string }
  );

export interface EgressAnswer {
  status: number;
  headers: Headers;
  /** Where the answer came from in the end. */
  url: string;
  /** Bytes of the body, where the answer names them. */
  length: number | null;
  /** The body. Throws {@link EgressError} `too_large` as soon as it is longer than `maxBytes`. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** Lets go of a body that is not read. */
  cancel(): Promise<void>;
}

export type EgressReason =
  | ForwardFailure["reason"]
  | "invalid_address"
  | "too_many_redirects"
  | "too_large"
  | "unwanted_type"
  /** The egress proxy itself does not answer: nobody's address is at fault. */
  | "egress_unavailable";

/** No answer, or none that was wanted. The message is meant for the customer. */
export class EgressError extends Error {
  override readonly name = "EgressError";
  readonly reason: EgressReason;

  constructor(reason: EgressReason, detail: string, cause?: unknown) {
    super(detail, { cause });
    this.reason = reason;
  }
}

/** Makes the request. Resolves with an answer of any status; throws {@link EgressError}. */
export async function egress(settings: Settings, request: EgressRequest): Promise<EgressAnswer> {
  const signal = AbortSignal.timeout(request.timeout);
  const until = Date.now() + request.timeout;
  let url = publicUrl(request.url);
  for (let redirects = 0; ; redirects++) {
    const response = await oneRequest(settings, request, url, until, signal);
    const location = response.headers.get("location");
    if (request.method === "POST" || !isRedirect(response.status) || location === null) {
      return answer(response, url, request, signal);
    }
    await response.body?.cancel();
    if (redirects >= request.redirects) {
      throw new EgressError("too_many_redirects", `${request.redirects} redirects are followed, and there are more.`);
    }
    url = publicUrl(location, url);
  }
}

const isRedirect = (status: number) => [301, 302, 303, 307, 308].includes(status);

/** The address, if it is one that may be asked for at all. */
function publicUrl(address: string, base?: URL): URL {
  const url = URL.parse(address, base);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new EgressError("invalid_address", "Only http and https addresses are fetched.");
  }
  if (url.username !== "" || url.password !== "") {
    throw new EgressError("invalid_address", "Addresses with a user name or password are not fetched.");
  }
  url.hash = "";
  return url;
}

async function oneRequest(
  settings: Settings,
  request: EgressRequest,
  url: URL,
  until: number,
  signal: AbortSignal,
): Promise<Response> {
  const forward: ForwardRequest = {
    url: url.href,
    method: request.method,
    headers: { "user-agent": "Omni-IML/1", "accept-encoding": "identity", ...request.headers },
    body: request.method === "POST" ? request.body : null,
    timeout: Math.max(1, until - Date.now()),
  };
  try {
    return settings.EGRESS_PROXY_URL === null
      ? await throughPlatform(forward, url, signal)
      : await throughProxy(settings, settings.EGRESS_PROXY_URL, forward, signal);
  } catch (cause) {
    if (cause instanceof EgressError) throw cause;
    if (signal.aborted) throw timedOut(request, cause);
    throw new EgressError("unreachable", `${url.host} does not answer.`, cause);
  }
}

function timedOut(request: EgressRequest, cause: unknown): EgressError {
  return new EgressError("timed_out", `There was no whole answer within ${request.timeout / 1000} s.`, cause);
}

/** The platform connects to public addresses only; literals and names that cannot be public get a plain answer here. */
function throughPlatform(forward: ForwardRequest, url: URL, signal: AbortSignal): Promise<Response> {
  const literal = literalAddress(url.hostname);
  if (literal === null ? !isPublicName(url.hostname) : !isPublicAddress(literal)) {
    throw new EgressError("address_refused", `${url.hostname} is not a public address.`);
  }
  const { method, headers, body } = forward;
  return fetch(url, { method, headers, body, redirect: "manual", signal });
}

async function throughProxy(
  settings: Settings,
  proxy: string,
  forward: ForwardRequest,
  signal: AbortSignal,
): Promise<Response> {
  const body = JSON.stringify(forward);
  let response: Response;
  try {
    response = await fetch(proxy + forwardPath, {
      method: "POST",
      headers: await signedHeaders(settings.EGRESS_PROXY_SECRET, { method: "POST", path: forwardPath, body }),
      body,
      redirect: "manual",
      signal,
    });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new EgressError("egress_unavailable", "Addresses outside cannot be reached at the moment.", cause);
  }
  const status = Number(response.headers.get(statusHeader) ?? Number.NaN);
  if (!Number.isInteger(status)) {
    const failure = forwardFailure.safeParse(await response.json().catch(() => null));
    if (failure.success) throw new EgressError(failure.data.reason, failure.data.detail);
    const cause = new Error(`the egress proxy answered ${response.status}`);
    throw new EgressError("egress_unavailable", "Addresses outside cannot be reached at the moment.", cause);
  }
  const headers = new Headers();
  for (const name of passedHeaders) {
    const value = response.headers.get(`egress-${name}`);
    if (value !== null) headers.set(name, value);
  }
  // A status without a body must not get one, not even an empty one.
  const empty = [204, 205, 304].includes(status);
  if (empty) await response.body?.cancel();
  return new Response(empty ? null : response.body, { status, headers });
}

async function answer(
  response: Response,
  url: URL,
  request: EgressRequest,
  signal: AbortSignal,
): Promise<EgressAnswer> {
  const cancel = async () => response.body?.cancel();
  const named = response.headers.get("content-length");
  const length = named !== null && /^\d{1,15}$/.test(named) ? Number(named) : null;
  if (request.method === "GET" && response.ok) {
    const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() || null;
    if (request.accepts && !request.accepts(type)) {
      await cancel();
      throw new EgressError("unwanted_type", `What lies there is of type ${type ?? "unknown"}.`);
    }
    if (length !== null && length > request.maxBytes) {
      await cancel();
      throw tooLarge(request);
    }
  }
  const read = async () => {
    try {
      return await readBody(response, length, request);
    } catch (cause) {
      if (cause instanceof EgressError) throw cause;
      if (signal.aborted) throw timedOut(request, cause);
      throw new EgressError("unreachable", `${url.host} broke off in the middle of its answer.`, cause);
    }
  };
  return { status: response.status, headers: response.headers, url: url.href, length, read, cancel };
}

function tooLarge({ maxBytes }: EgressRequest): EgressError {
  return new EgressError("too_large", `What lies there has more than ${maxBytes} bytes.`);
}

/** Into one buffer of the named length; a length that is not named, or not kept, is found while reading. */
async function readBody(
  response: Response,
  length: number | null,
  request: EgressRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  let buffer = new Uint8Array(Math.min(length ?? 64 * 1024, request.maxBytes));
  let filled = 0;
  for await (const chunk of response.body ?? []) {
    if (!(chunk instanceof Uint8Array)) throw new Error("a response body yields bytes");
    const end = filled + chunk.length;
    if (end > request.maxBytes) throw tooLarge(request);
    if (end > buffer.length) {
      const larger = new Uint8Array(Math.min(Math.max(end, 2 * buffer.length), request.maxBytes));
      larger.set(buffer.subarray(0, filled));
      buffer = larger;
    }
    buffer.set(chunk, filled);
    filled = end;
  }
  return buffer.subarray(0, filled);
}
