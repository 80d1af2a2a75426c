import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { newId } from "@omni-iml/shared/ids";
import { Problem } from "@omni-iml/shared/problems";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AuthenticationError,
  ConflictError,
  ConnectionError,
  GoneError,
  IdempotencyError,
  ImageUrlError,
  InvalidInputError,
  isProblem,
  NotFoundError,
  OmniIml,
  PermissionError,
  ProblemError,
  QuotaExceededError,
  RateLimitError,
  UnexpectedAnswerError,
  WaitTimeoutError,
} from "./index.ts";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  form: FormData;
  json: unknown;
}
type Answer = (response: ServerResponse) => unknown;

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
    const json = type === "application/json" ? JSON.parse(Buffer.concat(chunks).toString()) : null;
    seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, form, json });
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

  it("sends the image again when the connection breaks or the answer is cut off, under the same key", async () => {
    const cutOff: Answer = (response) => {
      response.writeHead(201, { "content-type": "application/json", "content-length": "5000" });
      response.write('{"object":"analysis"', () => response.socket?.destroy());
    };
    answers = [drop, cutOff, refuse(new Problem("internal_error", "oh")), json(201, record("succeeded"))];
    expect((await client().analyses.create({ image })).status).toBe("succeeded");
    const keys = seen.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    await client().analyses.create({ image });
    await client().analyses.create({ image }, { idempotencyKey: "mine" });
    expect(seen[4]?.headers["idempotency-key"]).not.toBe(keys[0]);
    expect(seen[5]?.headers["idempotency-key"]).toBe("mine");
  });

  it("names an address or an upload as JSON", async () => {
    answers = [json(201, record("succeeded"))];
    const webhook = { url: "https://example.com/hook", events: ["analysis.failed" as const] };
    await client().analyses.create({ image_url: "https://example.com/a.jpg", webhook });
    await client().analyses.create({ upload_id: "up_1", metadata: { case: "17" } });
    expect(seen.map(({ json }) => json)).toEqual([
      { image_url: "https://example.com/a.jpg", webhook },
      { upload_id: "up_1", metadata: { case: "17" } },
    ]);
  });

  it("uploads what no request can carry", async () => {
    const large = new Blob([new Uint8Array(20 * 1024 * 1024 + 1)], { type: "image/tiff" });
    const put = { url: `${baseUrl}/bucket/up_1?signature=s`, headers: { "content-type": "image/tiff" } };
    answers = [
      json(201, { object: "upload", id: "up_1", put }),
      (response) => response.writeHead(503).end(),
      (response) => response.writeHead(200).end(),
      json(202, record("queued")),
    ];
    await client().analyses.create({ image: large, filename: "scan.tif", wait: 0 });
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "POST /v1/uploads",
      "PUT /bucket/up_1?signature=s",
      "PUT /bucket/up_1?signature=s",
      "POST /v1/analyses",
    ]);
    expect(seen[0]?.json).toEqual({ bytes: large.size, content_type: "image/tiff", filename: "scan.tif" });
    expect(seen[2]?.headers).toMatchObject({ "content-type": "image/tiff", "content-length": String(large.size) });
    expect(seen[2]?.headers["authorization"]).toBeUndefined();
    expect(seen[3]?.json).toEqual({ upload_id: "up_1" });
  });

  it("tells at once who is asked to come back much later", async () => {
    answers = [refuse(new Problem("quota_exceeded", "none left"), { "retry-after": "90000" })];
    const call = client().analyses.create({ image });
    await expect(call).rejects.toBeInstanceOf(QuotaExceededError);
    await expect(call).rejects.toMatchObject({ retryAfter: 90_000 });
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
    ["image_url_refused", ImageUrlError],
    ["upload_used", ConflictError],
    ["idempotency_key_reused", IdempotencyError],
    ["not_found", NotFoundError],
    ["forbidden", PermissionError],
  ] as const)("%s is its own class", async (code, kind) => {
    answers = [refuse(new Problem(code, "no"))];
    const error = await client()
      .analyses.retrieve("an_1")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(kind);
    expect([isProblem(error, code, "gone"), isProblem(error, "overloaded")]).toEqual([true, false]);
  });

  it("tell a proxy's error page from an answer of the service", async () => {
    answers = [(response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>")];
    const error = await client({ maxRetries: 1 })
      .analyses.retrieve("an_1")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnexpectedAnswerError);
    expect(error).toMatchObject({ status: 502 });
    expect(seen).toHaveLength(2);
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

describe("pages", () => {
  it("are asked for as somebody goes through the list", async () => {
    const page = (id: string, next_cursor: string | null) =>
      json(200, { object: "list", data: [{ object: "analysis", id }], next_cursor });
    answers = [page("an_3", "an_3"), page("an_2", "an_2"), page("an_1", null)];
    const found: string[] = [];
    for await (const { id } of await client().analyses.list({ limit: 1, status: "failed" })) {
      found.push(id);
      expect(seen).toHaveLength(found.length);
    }
    expect(found).toEqual(["an_3", "an_2", "an_1"]);
    expect(seen.map(({ url }) => url)).toEqual([
      "/v1/analyses?limit=1&status=failed",
      "/v1/analyses?limit=1&status=failed&cursor=an_3",
      "/v1/analyses?limit=1&status=failed&cursor=an_2",
    ]);
  });
});

describe("stream", () => {
  const status = (name: string) => `event: status\ndata: {"status":"${name}","at":"2026-11-23T12:00:00Z"}\n`;
  const end = () => `event: end\ndata: ${JSON.stringify(record("succeeded"))}\n\n`;
  const events = (...parts: string[]): Answer => {
    return async (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const part of parts) {
        response.write(part);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      response.end();
    };
  };

  it("gives events as they come, and goes on after the last one when the connection breaks", async () => {
    answers = [
      events(
        `id: 1\n${status("queued")}\n`,
        ": alive\n\nid: 2\nevent: sta",
        `ge\ndata: {"stage":"decode",\r\ndata: "attempt":1}\r\n\r\n`,
      ),
      drop,
      events(`id: 3\n${status("running")}\nevent: later\ndata: ?\n\n${end()}`),
    ];
    const got: string[] = [];
    for await (const { event, data } of client().analyses.stream("an_1")) {
      got.push(`${event} ${"stage" in data && event === "stage" ? data.stage : "status" in data ? data.status : ""}`);
    }
    expect(got).toEqual(["status queued", "stage decode", "status running", "end succeeded"]);
    expect(seen.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "2", "2"]);
    expect(seen[0]?.headers["accept"]).toBe("text/event-stream");
  });

  it("ends the connection when nobody listens any more, and with the signal's reason", async () => {
    let closed = 0;
    answers = [
      (response) => {
        response.on("close", () => closed++);
        response.writeHead(200, { "content-type": "text/event-stream" }).write(`id: 1\n${status("queued")}\n`);
      },
    ];
    for await (const _ of client().analyses.stream("an_1")) break;
    await expect.poll(() => closed).toBe(1);
    const controller = new AbortController();
    const listen = async () => {
      for await (const _ of client().analyses.stream("an_1", { signal: controller.signal })) {
        controller.abort(new Error("enough"));
      }
    };
    await expect(listen()).rejects.toThrow("enough");
    await expect.poll(() => closed).toBe(2);
  });

  it("gives up after maxRetries connections that brought nothing", async () => {
    answers = [events()];
    const listen = async () => {
      for await (const _ of client().analyses.stream("an_1", { maxRetries: 1 })) throw new Error("nothing was sent");
    };
    await expect(listen()).rejects.toBeInstanceOf(ConnectionError);
    expect(seen).toHaveLength(2);
  });
});

describe("batches and webhook endpoints", () => {
  it("use the routes of the API", async () => {
    const { batches, webhooks, uploads } = client();
    const batch = { object: "batch", id: "ba_1", status: "running" };
    answers = [json(202, batch)];
    await batches.create({ items: [{ image_url: "https://example.com/1.jpg" }] });
    answers = [json(200, batch, { "retry-after": "1" }), json(200, { ...batch, status: "ended" })];
    const looks: string[] = [];
    const before = performance.now();
    await batches.wait("ba_1", { progress: ({ status }) => looks.push(status) });
    expect(looks).toEqual(["running", "ended"]);
    // As the service asked, and no longer.
    expect((performance.now() - before) / 1000).toBeGreaterThan(0.99);
    expect((performance.now() - before) / 1000).toBeLessThan(1.9);
    answers = [json(200, batch)];
    await batches.cancel("ba_1");
    answers = [json(200, { object: "list", data: [], next_cursor: null })];
    await batches.items("ba_1", { limit: 5 });
    await webhooks.endpoints.deliveries("wh_1", { status: "dead" });
    answers = [json(202, { object: "webhook_delivery" })];
    await webhooks.endpoints.redeliver("wh_1", "ev_1");
    await webhooks.endpoints.test("wh_1");
    answers = [(response) => response.writeHead(204).end()];
    await uploads.delete("up_1");
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "POST /v1/batches",
      "GET /v1/batches/ba_1",
      "GET /v1/batches/ba_1",
      "POST /v1/batches/ba_1/cancel",
      "GET /v1/batches/ba_1/items?limit=5",
      "GET /v1/webhook-endpoints/wh_1/deliveries?status=dead",
      "POST /v1/webhook-endpoints/wh_1/deliveries/ev_1/redeliver",
      "POST /v1/webhook-endpoints/wh_1/test",
      "DELETE /v1/uploads/up_1",
    ]);
    expect(seen.every(({ method, headers }) => (method === "POST") === "idempotency-key" in headers)).toBe(true);
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
    // Nor one that begins to answer and never ends.
    answers = [(response) => response.writeHead(200).write("{")];
    await expect(analyses.retrieve("an_1")).rejects.toBeInstanceOf(ConnectionError);
    await expect(analyses.retrieve("an_1", { timeout: 0.1, maxRetries: 1 })).rejects.toThrow("got no answer");
    expect(seen).toHaveLength(4);
  });
});
