import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AuthenticationError,
  ConnectionError,
  GoneError,
  InvalidInputError,
  OmniIml,
  ProblemError,
  RateLimitError,
  UnexpectedAnswerError,
  WaitTimeoutError,
} from "./index.ts";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  form: FormData;
}
type Answer = (response: ServerResponse) => void;

let server: Server;
let baseUrl: string;
let seen: Seen[];
/** One for each request; the last one is repeated. */
let answers: Answer[];

beforeEach(async () => {
  seen = [];
  answers = [];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const type = request.headers["content-type"] ?? "";
    const form = type.startsWith("multipart/")
      ? await new Response(Buffer.concat(chunks), { headers: { "content-type": type } }).formData()
      : new FormData();
    seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, form });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    answer?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  baseUrl = `http://127.0.0.1:${port}`;
});

afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

function refuse(problem: Problem, headers: Record<string, string> = {}): Answer {
  return json(problem.status, problem.document(), { "content-type": "application/problem+json", ...headers });
}

const drop: Answer = (response) => response.socket?.destroy();

function record(status: string, id = newId("analysis")) {
  return {
    id,
    object: "analysis",
    status,
    created_at: "2026-11-23T12:00:00.000Z",
    started_at: null,
    ended_at: null,
    expires_at: null,
    cached: false,
    attempts: 0,
    stage: null,
    options: {
      outputs: ["probability"],
      interpretation: "builtin",
      evidence: true,
      priority: "interactive",
    },
    metadata: {},
    input: { sha256: "0".repeat(64), bytes: 3, content_type: "image/jpeg", filename: null },
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
    files: {},
    error: null,
    feedback: null,
  };
}

const image = new Uint8Array([0xff, 0xd8, 0xff]);

function client(more: { maxRetries?: number; timeout?: number } = {}) {
  return new OmniIml({ apiKey: "omni_test_key", baseUrl: `${baseUrl}/`, ...more });
}

describe("create", () => {
  it("sends file, options and metadata as multipart, with key and preference", async () => {
    answers = [json(201, record("succeeded"))];
    const analysis = await client().analyses.create({
      image,
      filename: "photo.jpg",
      options: { threshold: 0.4 },
      metadata: { case: "17" },
      wait: 30,
    });
    expect(analysis.status).toBe("succeeded");
    const [request] = seen;
    expect(request).toMatchObject({ method: "POST", url: "/v1/analyses" });
    expect(request?.headers).toMatchObject({ authorization: "Bearer omni_test_key", prefer: "wait=30" });
    const file = request?.form.get("image");
    expect(file).toBeInstanceOf(File);
    if (!(file instanceof File)) return;
    expect(file.name).toBe("photo.jpg");
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(image);
    expect(request?.form.get("options")).toBe('{"threshold":0.4}');
    expect(request?.form.get("metadata")).toBe('{"case":"17"}');
  });

  it.each([
    ["a Blob", new Blob([image])],
    ["an ArrayBuffer", image.buffer],
    ["a File, by its own name", new File([image], "own.png")],
  ])("takes %s", async (kind, input) => {
    answers = [json(202, record("queued"))];
    await client().analyses.create({ image: input, wait: 0 });
    const file = seen[0]?.form.get("image");
    expect(file instanceof File && file.size).toBe(3);
    expect(seen[0]?.headers["prefer"]).toBe("respond-async");
    if (kind.startsWith("a File")) expect(file instanceof File && file.name).toBe("own.png");
  });

  it("sends the image again after a refusal that accepted nothing, no sooner than Retry-After", async () => {
    answers = [
      refuse(new Problem("rate_limited", "1 request too many"), { "retry-after": "1" }),
      refuse(new Problem("overloaded", "no room"), { "retry-after": "0" }),
      json(201, record("succeeded")),
    ];
    const before = performance.now();
    await client().analyses.create({ image });
    expect(performance.now() - before).toBeGreaterThan(990);
    expect(seen).toHaveLength(3);
    expect(seen[2]?.form.get("image")).toBeInstanceOf(File);
  });

  it("does not send the image again when the connection breaks: it may have been accepted", async () => {
    answers = [drop];
    await expect(client().analyses.create({ image })).rejects.toBeInstanceOf(ConnectionError);
    expect(seen).toHaveLength(1);
  });

  it("does not repeat what can only be refused again", async () => {
    answers = [refuse(new Problem("image_corrupt", "the file ends early"))];
    await expect(client().analyses.create({ image })).rejects.toBeInstanceOf(InvalidInputError);
    expect(seen).toHaveLength(1);
  });

  it("gives up after maxRetries with the last refusal", async () => {
    answers = [refuse(new Problem("rate_limited", "still too many"), { "retry-after": "0" })];
    await expect(client({ maxRetries: 2 }).analyses.create({ image })).rejects.toBeInstanceOf(RateLimitError);
    expect(seen).toHaveLength(3);
  });
});

describe("refusals", () => {
  it("carry the service's problem document", async () => {
    const problem = new Problem("invalid_request", "an unknown field", {
      errors: [{ path: "options.treshold", message: "unknown" }],
    });
    answers = [refuse(problem)];
    const error = await client()
      .analyses.retrieve("an_1")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ProblemError);
    if (!(error instanceof ProblemError)) return;
    expect(error.problem).toEqual(problem.document());
    expect(error.code).toBe("invalid_request");
    expect(error.message).toContain("an unknown field");
  });

  it.each([
    ["unauthorized", AuthenticationError],
    ["gone", GoneError],
    ["unsupported_media_type", InvalidInputError],
  ] as const)("%s is its own class", async (code, kind) => {
    answers = [refuse(new Problem(code, "no"))];
    await expect(client().analyses.retrieve("an_1")).rejects.toBeInstanceOf(kind);
  });

  it("tell a proxy's error page from an answer of the service", async () => {
    answers = [(response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>")];
    const error = await client()
      .analyses.retrieve("an_1")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnexpectedAnswerError);
    expect(error).toMatchObject({ status: 502 });
  });

  it("reject an answer of another shape instead of passing it on", async () => {
    answers = [json(200, { id: "an_1", status: "succeeded" })];
    await expect(client().analyses.retrieve("an_1")).rejects.toBeInstanceOf(UnexpectedAnswerError);
  });
});

describe("retrieve, list, cancel, delete", () => {
  it("repeat a GET whose connection broke", async () => {
    answers = [drop, json(200, record("running"))];
    const analysis = await client().analyses.retrieve("an_1", { wait: 5 });
    expect(analysis.status).toBe("running");
    expect(seen.map((request) => request.headers["prefer"])).toEqual(["wait=5", "wait=5"]);
  });

  it("use the routes of the API", async () => {
    const { analyses } = client();
    answers = [json(200, { object: "list", data: [record("failed")], next_cursor: "an_2" })];
    const page = await analyses.list({ limit: 1, status: "failed" });
    expect(page.data[0]?.status).toBe("failed");
    expect(page.next_cursor).toBe("an_2");
    answers = [json(200, record("canceled"))];
    await analyses.cancel("an_1");
    answers = [(response) => response.writeHead(204).end()];
    await analyses.delete("an_1");
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "GET /v1/analyses?limit=1&status=failed",
      "POST /v1/analyses/an_1/cancel",
      "DELETE /v1/analyses/an_1",
    ]);
  });
});

describe("wait", () => {
  it("asks until the analysis has ended, whatever the end", async () => {
    answers = [json(200, record("queued")), json(200, record("running")), json(200, record("failed"))];
    expect((await client().analyses.wait("an_1", { timeout: 20 })).status).toBe("failed");
    expect(seen).toHaveLength(3);
    expect(seen[0]?.headers["prefer"]).toMatch(/^wait=(19|20)$/);
  });

  it("stops after its time", async () => {
    answers = [json(200, record("running"))];
    await expect(client().analyses.wait("an_1", { timeout: 0.6 })).rejects.toBeInstanceOf(WaitTimeoutError);
  });
});

describe("abort and time-out", () => {
  it("a signal ends the call with its own reason, also between tries", async () => {
    answers = [refuse(new Problem("overloaded", "no room"), { "retry-after": "60" })];
    const controller = new AbortController();
    const call = client().analyses.create({ image }, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("changed my mind")), 200);
    await expect(call).rejects.toThrow("changed my mind");
    expect(seen).toHaveLength(1);
  });

  it("a service that never answers is a ConnectionError", async () => {
    answers = [() => undefined];
    const { analyses } = client({ timeout: 0.2, maxRetries: 0 });
    await expect(analyses.retrieve("an_1")).rejects.toBeInstanceOf(ConnectionError);
  });
});
