/** Every way into the API of a stack that `npm start` brought up: real storage, real egress, a real model. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { analysis as analysisSchema } from "@omni-iml/shared/analysis";
import { batchItemPage, batch as batchSchema } from "@omni-iml/shared/batches";
import { erasure } from "@omni-iml/shared/erasure";
import { problemDocument } from "@omni-iml/shared/problems";
import { type Upload, upload as uploadSchema } from "@omni-iml/shared/uploads";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { DocumentClient } from "./document-client.ts";
import { LocalService, temporaryState } from "./local-service.ts";
import { type Bytes, photograph } from "./pictures.ts";

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;
/** Somebody else's server, with what lies on it. */
let elsewhere: Server;
const files = new Map<string, Bytes>();

beforeAll(async () => {
  state = await temporaryState();
  elsewhere = createServer((request, response) => {
    const redirect = /^\/to\?(.*)$/.exec(request.url ?? "")?.[1];
    if (redirect !== undefined) response.writeHead(302, { location: decodeURIComponent(redirect) }).end();
    else response.writeHead(files.has(request.url ?? "") ? 200 : 404).end(files.get(request.url ?? ""));
  }).listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  service = await LocalService.start(state.path, await freePort(), { EGRESS_ALLOW_LOOPBACK: "1" });
});
afterAll(async () => {
  await service.interrupt();
  elsewhere.closeAllConnections();
  await new Promise((closed) => elsewhere.close(closed));
  await state[Symbol.asyncDispose]();
});

/** Puts a file on the other server. */
function publish(name: string, content: Bytes): string {
  files.set(`/${name}`, content);
  const address = elsewhere.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}/${name}`;
}

function postJson(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const json = { "content-type": "application/json", prefer: "wait=60", ...headers };
  return service.fetch(path, { method: "POST", headers: json, body: JSON.stringify(body) });
}

function put({ put: to }: Upload, body: Bytes, headers: Record<string, string> = {}) {
  if (to === null) throw new Error("the upload has no address");
  // fetch counts the bytes itself.
  const { "content-length": _, ...signed } = to.headers;
  return fetch(to.url, { method: "PUT", body, headers: { ...signed, ...headers } });
}

async function expectRefusal(response: Response, code: string) {
  const problem = problemDocument.parse(await response.json());
  expect(problem).toMatchObject({ code, status: response.status });
}

describe("image_url", () => {
  it("is fetched and analysed, also after a redirect", async () => {
    const image = await photograph(200, 150);
    const url = publish("a%20photo.jpg", image);
    const via = publish(`to?${encodeURIComponent(url)}`, new Uint8Array());
    const analysis = analysisSchema.parse(await (await postJson("/v1/analyses", { image_url: via })).json());
    const sha256 = createHash("sha256").update(image).digest("hex");
    expect(analysis).toMatchObject({ status: "succeeded", input: { sha256 }, image: { width: 200, height: 150 } });
  });

  it("to a private address is refused, named or redirected to", async () => {
    const metadata = "http://169.254.169.254/latest/meta-data/";
    await expectRefusal(await postJson("/v1/analyses", { image_url: metadata }), "image_url_refused");
    const via = publish(`to?${encodeURIComponent(metadata)}`, new Uint8Array());
    await expectRefusal(await postJson("/v1/analyses", { image_url: via }), "image_url_refused");
  });
});

describe("an upload", () => {
  async function announce(bytes: number, content_type: string) {
    return uploadSchema.parse(await (await postJson("/v1/uploads", { bytes, content_type })).json());
  }

  it("takes exactly what was announced, and is analysed", async () => {
    const image = await photograph(160, 160);
    const upload = await announce(image.length, "image/jpeg");
    expect((await put(upload, image, { "content-type": "image/png" })).status).toBe(403);
    expect((await put(upload, image.slice(1))).status).toBe(403);
    expect((await put(upload, image)).status).toBe(200);
    const analysis = analysisSchema.parse(await (await postJson("/v1/analyses", { upload_id: upload.id })).json());
    expect(analysis).toMatchObject({ status: "succeeded", input: { bytes: image.length } });
    // Nobody can have it a second time.
    await expectRefusal(await postJson("/v1/analyses", { upload_id: upload.id }), "upload_used");
  });

  it("may be larger than any request", async () => {
    const tiff = await sharp({
      create: {
        width: 3200,
        height: 3200,
        channels: 3,
        background: "grey",
        noise: { type: "gaussian", mean: 128, sigma: 60 },
      },
    })
      .tiff({ compression: "none" })
      .toBuffer();
    const image = new Uint8Array(tiff);
    expect(image.length).toBeGreaterThan(20 * 1024 * 1024);
    const direct = await service.fetch("/v1/analyses", {
      method: "POST",
      body: image,
      headers: { "content-type": "image/tiff" },
    });
    await expectRefusal(direct, "image_too_large");
    const upload = await announce(image.length, "image/tiff");
    expect((await put(upload, image)).status).toBe(200);
    const response = await postJson("/v1/analyses", { upload_id: upload.id }, { prefer: "respond-async" });
    expect(response.status).toBe(202);
    const { id, input } = analysisSchema.parse(await response.json());
    expect(input).toMatchObject({
      bytes: image.length,
      content_type: "image/tiff",
      sha256: createHash("sha256").update(image).digest("hex"),
    });
    expect((await service.fetch(`/v1/analyses/${id}/cancel`, { method: "POST" })).status).toBe(200);
  });
});

describe("a batch", () => {
  it("becomes analyses, with the errors of single items, and is erased with them", async () => {
    const items = await Promise.all(
      ["1.jpg", "2.jpg"].map(async (name) => ({ image_url: publish(name, await photograph(96, 96)) })),
    );
    const response = await postJson("/v1/batches", { items: [...items, { image_url: "http://10.0.0.1/3.jpg" }] });
    expect(response.status).toBe(202);
    const path = response.headers.get("location") ?? "";
    await expect
      .poll(async () => batchSchema.parse(await (await service.fetch(path)).json()), { timeout: 90_000, interval: 500 })
      .toMatchObject({ status: "ended", counts: { total: 3, succeeded: 2, refused: 1 } });
    const { data } = batchItemPage.parse(await (await service.fetch(`${path}/items`)).json());
    expect(data.map(({ status, error }) => error?.code ?? status)).toEqual([
      "succeeded",
      "succeeded",
      "image_url_refused",
    ]);
    expect((await service.fetch(path, { method: "DELETE" })).status).toBe(204);
    for (const { analysis } of data.slice(0, 2)) {
      expect((await service.fetch(`/v1/analyses/${analysis}`)).status).toBe(410);
      const shown = erasure.parse(await (await service.fetch(`/v1/analyses/${analysis}/erasure`)).json());
      expect(shown).toMatchObject({ reason: "deleted", remaining: { input: 0, record: 0, results: 0 } });
    }
  });
});

describe("an Idempotency-Key", () => {
  it("makes a hundred requests at once one analysis", async () => {
    const image = await photograph(120, 90);
    const jobs = await service.jobsEnded();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        service.fetch("/v1/analyses", {
          method: "POST",
          body: image,
          headers: { "content-type": "image/jpeg", prefer: "wait=60", "idempotency-key": "a-hundred" },
        }),
      ),
    );
    const ids = await Promise.all(answers.map(async (answer) => analysisSchema.parse(await answer.json()).id));
    expect(new Set(ids).size).toBe(1);
    expect(await service.jobsEnded()).toBe(jobs + 1);
    const other = service.fetch("/v1/analyses", {
      method: "POST",
      body: await photograph(120, 90),
      headers: { "content-type": "image/jpeg", "idempotency-key": "a-hundred" },
    });
    await expectRefusal(await other, "idempotency_key_reused");
  });
});

describe("a client that knows nothing but /openapi.json", () => {
  it("sends an image, follows it, reads it in the list, and erases it; every answer is as described", async () => {
    const client = await DocumentClient.of(`${service.baseUrl}/openapi.json`, service.apiKey);
    const { status, body } = await client.call("createAnalysis", {
      bytes: { type: "image/jpeg", content: await photograph(140, 100) },
      parameters: { prefer: "respond-async", "idempotency-key": "from-the-document", metadata: '{"case":"17"}' },
    });
    expect(status).toBe(202);
    const { id } = analysisSchema.parse(body);
    expect((await client.call("streamAnalysisEvents", { parameters: { id } })).body).toContain("event: end");
    const read = await client.call("getAnalysis", { parameters: { id, prefer: "wait=60" } });
    expect(read.body).toMatchObject({ status: "succeeded", metadata: { case: "17" } });
    const listed = await client.call("listAnalyses", { parameters: { limit: 1 } });
    expect(listed.body).toMatchObject({ data: [{ id }] });
    const noted = await client.call("giveFeedback", { parameters: { id }, json: { finding: "right" } });
    expect(noted.body).toMatchObject({ feedback: { finding: "right" } });
    expect((await client.call("deleteAnalysis", { parameters: { id } })).status).toBe(204);
    expect((await client.call("getAnalysis", { parameters: { id } })).status).toBe(410);
  });

  it("uploads, makes batches and webhook endpoints, reads usage and models, and is refused as described", async () => {
    const client = await DocumentClient.of(`${service.baseUrl}/openapi.json`, service.apiKey);
    const image = await photograph(150, 110);
    const announced = await client.call("createUpload", {
      json: { bytes: image.byteLength, content_type: "image/jpeg" },
    });
    const upload = uploadSchema.parse(announced.body);
    expect((await put(upload, image)).status).toBe(200);
    const image_url = publish("described.jpg", await photograph(130, 100));
    const made = await client.call("createBatch", { json: { items: [{ upload_id: upload.id }, { image_url }] } });
    const { id } = batchSchema.parse(made.body);
    const ended = async () => (await client.call("getBatch", { parameters: { id } })).body;
    await expect.poll(ended, { timeout: 90_000, interval: 500 }).toMatchObject({ counts: { succeeded: 2 } });
    const items = await client.call("listBatchItems", { parameters: { id, limit: 1 } });
    expect(items.body).toMatchObject({ data: [{ status: "succeeded" }] });

    const hook = await client.call("createWebhookEndpoint", { json: { url: "http://127.0.0.1:9/hook" } });
    expect(hook).toMatchObject({ status: 201, body: { enabled: true } });
    for (const operation of ["listWebhookEndpoints", "getUsage", "listModels", "listApiKeys"]) {
      expect(await client.call(operation)).toMatchObject({ status: 200 });
    }
    expect(await client.call("createBatch", { json: { items: [{ image_url: "http://10.0.0.1/" }] } })).toMatchObject({
      status: 202,
    });
    const text = { type: "application/octet-stream", content: new TextEncoder().encode("no image at all") };
    expect(await client.call("createAnalysis", { bytes: text })).toMatchObject({
      status: 415,
      body: { code: "unsupported_media_type" },
    });
  });
});
