/**
 * The way out for a worker that runs beside private networks: locally and self-hosted.
 *
 * Each request names one address. Its name is resolved once, every address it leads to must be public, and the
 * connection goes to what was checked: a name that resolves differently a moment later leads nowhere else. Redirects
 * are not followed; the worker asks for each of them anew. See edge/egress/forwarding.ts for the contract.
 */
import { lookup as resolveName } from "node:dns/promises";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { pipeline } from "node:stream/promises";
import { verifySignature } from "@omni-iml/shared/signature";
import {
  type ForwardFailure,
  type ForwardRequest,
  forwardPath,
  forwardRequest,
  passedHeaders,
  statusHeader,
} from "../../edge/egress/forwarding.ts";
import { isPublicAddress, literalAddress } from "../../edge/egress/public-address.ts";

export interface EgressProxyConfig {
  /** What the worker signs with. */
  secret: string;
  /** Lets 127.0.0.0/8 and ::1 pass: for development only. */
  allowLoopback: boolean;
  /** All addresses of a name; the system's resolver by default. */
  resolve?: (name: string) => Promise<string[]>;
}

/** A webhook's body is at most 20 kB; this holds it with headers, escaped. */
const longestRequest = 256 * 1024;

class Refusal extends Error {
  readonly failure: ForwardFailure;

  constructor(reason: ForwardFailure["reason"], detail: string, cause?: unknown) {
    super(detail, { cause });
    this.failure = { reason, detail };
  }
}

/** The proxy as a server that does not listen yet. */
export function createEgressProxy(config: EgressProxyConfig): Server {
  return createServer((request, response) => {
    handle(config, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else if (error instanceof Refusal) answer(response, 502, error.failure);
      else {
        console.error(error);
        answer(response, 500, { detail: "The proxy failed." });
      }
    });
  });
}

async function handle(config: EgressProxyConfig, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "GET" && request.url === "/healthz") return answer(response, 200, { status: "ok" });
  if (request.method !== "POST" || request.url !== forwardPath) return answer(response, 404, { detail: "not found" });
  const body = await readText(request);
  if (body === null) return answer(response, 413, { detail: "The request is too long." });
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  if (!(await verifySignature(config.secret, { method: "POST", path: forwardPath, body }, headers))) {
    return answer(response, 401, { detail: "The signature is not valid." });
  }
  const parsed = forwardRequest.safeParse(parseJson(body));
  if (!parsed.success) return answer(response, 400, { detail: parsed.error.message });
  await forward(config, parsed.data, response);
}

async function forward(config: EgressProxyConfig, wanted: ForwardRequest, response: ServerResponse): Promise<void> {
  const url = new URL(wanted.url);
  const addresses = await checkedAddresses(config, url);
  // Whoever asked has gone: so is the reason for going on.
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const patience = setTimeout(() => gone.abort(), wanted.timeout);
  let target: IncomingMessage;
  try {
    target = await connect(url, addresses, wanted, gone.signal);
  } catch (cause) {
    if (gone.signal.aborted) throw new Refusal("timed_out", `${url.host} does not answer in time.`, cause);
    throw new Refusal("unreachable", `${url.host} does not answer.`, cause);
  } finally {
    clearTimeout(patience);
  }
  response.statusCode = 200;
  response.setHeader(statusHeader, String(target.statusCode ?? 0));
  for (const name of passedHeaders) {
    const value = target.headers[name];
    if (value !== undefined) response.setHeader(`egress-${name}`, value);
  }
  await pipeline(target, response);
}

/** The addresses behind the URL's host, all of them public. */
async function checkedAddresses(config: EgressProxyConfig, url: URL): Promise<string[]> {
  const literal = literalAddress(url.hostname);
  const addresses = literal === null ? await resolve(config, url.hostname) : [literal];
  if (!addresses.every((address) => isPublicAddress(address, config.allowLoopback))) {
    throw new Refusal("address_refused", `${url.hostname} does not lead to a public address.`);
  }
  return addresses;
}

async function resolve(config: EgressProxyConfig, name: string): Promise<string[]> {
  const all =
    config.resolve ?? (async (host) => (await resolveName(host, { all: true })).map(({ address }) => address));
  try {
    const addresses = await all(name);
    if (addresses.length > 0) return addresses;
  } catch (cause) {
    throw new Refusal("unreachable", `The name ${name} is not known.`, cause);
  }
  throw new Refusal("unreachable", `The name ${name} has no address.`);
}

function connect(url: URL, addresses: string[], wanted: ForwardRequest, signal: AbortSignal): Promise<IncomingMessage> {
  // In place of a second resolution, which could answer something else than what was checked.
  const lookup: LookupFunction = (_name, options, callback) => {
    const known = addresses.map((address) => ({ address, family: isIP(address) }));
    if (options.all) callback(null, known);
    else callback(null, known[0]?.address ?? "", known[0]?.family);
  };
  const begin = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((done, fail) => {
    const { method, headers, body } = wanted;
    const length = body === null ? {} : { "content-length": String(Buffer.byteLength(body)) };
    // No agent: a pooled connection would be chosen by name.
    const request = begin(url, { method, headers: { ...headers, ...length }, lookup, signal, agent: false });
    // A 101, which nobody asked for, comes in place of a response; unheard, it would leave this waiting for ever.
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      fail(new Error("the answer is a switch to another protocol"));
    });
    // `on`: a second error, after the response, would end the process if nobody listened.
    request.once("response", done).on("error", fail).end(body);
  });
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function readText(request: IncomingMessage): Promise<string | null> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > longestRequest) return null;
  }
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // As invalid as any other body that does not fit the contract.
    return null;
  }
}
