/** The public API of a stack that `npm start` brought up. */
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { analysis as analysisSchema } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { problemDocument } from "@omni-iml/shared/problems";
import { upload as uploadSchema } from "@omni-iml/shared/uploads";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withAlteredSignature } from "../../infra/local/demonstration.ts";
import { freePort } from "../../infra/local/ports.ts";
import { LocalService, temporaryState } from "./local-service.ts";
import { type Bytes, greyLevels, photograph, turned } from "./pictures.ts";

/** Seconds for which signed addresses are good in this stack: short, to see them expire. */
const addressLifetime = 12;

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;

beforeAll(async () => {
  state = await temporaryState();
  service = await LocalService.start(state.path, await freePort(), { FILE_URL_S: String(addressLifetime) });
});
afterAll(async () => {
  await service.interrupt();
  await state[Symbol.asyncDispose]();
});

/** A resource that has exactly the fields of the schema. */
async function resource(response: Response) {
  const body: unknown = await response.json();
  const parsed = analysisSchema.parse(body);
  expect(Object.keys(Object(body)).sort()).toEqual(Object.keys(parsed).sort());
  return parsed;
}

function form(image: Bytes, fields: Record<string, string> = {}, filename = "photo.jpg"): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  body.set("image", new File([image], filename, { type: "image/jpeg" }));
  return body;
}

function post(body: FormData | Bytes, headers: Record<string, string> = {}, query = ""): Promise<Response> {
  return service.fetch(`/v1/analyses${query}`, { method: "POST", body, headers });
}

async function download(address: string | undefined): Promise<Bytes> {
  const response = await fetch(address ?? "about:blank");
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

describe("an analysis", () => {
  it("as multipart, waiting for the end: the whole resource, its files, and their addresses", async () => {
    const image = await photograph(333, 257);
    const response = await post(form(image, { options: '{"threshold":0.3}', metadata: '{"case":"17"}' }), {
      prefer: "wait=60",
    });
    expect(response.status).toBe(201);
    expect(response.headers.get("preference-applied")).toBe("wait=60");
    const analysis = await resource(response);
    expect(response.headers.get("location")).toBe(`/v1/analyses/${analysis.id}`);
    expect(analysis).toMatchObject({
      object: "analysis",
      status: "succeeded",
      cached: false,
      attempts: 1,
      metadata: { case: "17" },
      options: { threshold: 0.3 },
      threshold: 0.3,
      input: {
        sha256: createHash("sha256").update(image).digest("hex"),
        bytes: image.length,
        content_type: "image/jpeg",
        filename: "photo.jpg",
      },
      image: { format: "jpeg", width: 333, height: 257, orientation: 1, frames: 1, jpeg: { progressive: false } },
      model: { precision: "fp32", provider: "cpu" },
      error: null,
    });
    expect(analysis.explanation).toMatch(/\w/);
    for (const { bbox } of analysis.regions ?? []) {
      expect(bbox.x + bbox.width).toBeLessThanOrEqual(333);
      expect(bbox.y + bbox.height).toBeLessThanOrEqual(257);
    }

    expect(Object.keys(analysis.files).sort()).toEqual([
      "mask",
      "overlay",
      "probability",
      "report",
      "report_html",
      "report_pdf",
    ]);
    for (const file of Object.values(analysis.files)) {
      expect((await fetch(withAlteredSignature(file.url))).status).toBe(403);
      const answer = await fetch(file.url);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([200, file.content_type]);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      expect(bytes.length).toBe(file.bytes);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(file.sha256);
    }
    const map = await greyLevels(await download(analysis.files.probability?.url));
    expect(map).toMatchObject({ width: 333, height: 257, channels: 1 });
    const mask = await greyLevels(await download(analysis.files.mask?.url));
    expect(mask).toMatchObject({ width: 333, height: 257 });
    // The mask is the map from the asked threshold on.
    expect(mask.levels).toEqual(map.levels.map((level) => (level / 255 >= 0.3 ? 255 : 0)));
    expect(await sharp(await download(analysis.files.overlay?.url)).metadata()).toMatchObject({
      width: 333,
      height: 257,
    });

    await new Promise((resolve) => setTimeout(resolve, (addressLifetime + 2) * 1000));
    expect((await fetch(analysis.files.probability?.url ?? "")).status).toBe(403);
    const again = await service.client.analyses.retrieve(analysis.id);
    await download(again.files.probability?.url);
  });

  it("as a raw body, answered at once, read at its location until it has ended", async () => {
    const image = await photograph(200, 160);
    const query = `?${new URLSearchParams({ options: '{"outputs":["probability"]}' })}`;
    const response = await post(image, { "content-type": "image/jpeg", prefer: "respond-async" }, query);
    expect(response.status).toBe(202);
    const accepted = await resource(response);
    expect(["queued", "running"]).toContain(accepted.status);
    expect(accepted.verdict).toBeNull();
    const location = response.headers.get("location") ?? "";
    const ended = await resource(await service.fetch(location, { headers: { prefer: "wait=60" } }));
    expect(ended).toMatchObject({ id: accepted.id, status: "succeeded" });
    expect(Object.keys(ended.files)).toEqual(["probability"]);
  });

  it("of the same bytes is a new one from the cache, and the runner does not hear of it", async () => {
    const image = await photograph(150, 150);
    const first = await service.client.analyses.create({ image, wait: 60 });
    const jobs = await service.jobsEnded();
    expect(jobs).toBeGreaterThan(0);
    const second = await service.client.analyses.create({ image, wait: 60 });
    expect(second).toMatchObject({ status: "succeeded", cached: true, score: first.score, regions: first.regions });
    expect(second.id).not.toBe(first.id);
    expect(await download(second.files.probability?.url)).toEqual(await download(first.files.probability?.url));
    const other = await service.client.analyses.create({ image, options: { threshold: 0.123 }, wait: 60 });
    expect(other.cached).toBe(false);
    expect(await service.jobsEnded()).toBe(jobs + 1);
  });

  it("of a camera's turned image: map and size as displayed, found on the stored grid", async () => {
    const upright = await photograph(240, 136);
    const plain = await service.client.analyses.create({ image: upright, wait: 60 });
    const rotated = await service.client.analyses.create({ image: turned(upright, 6), wait: 60 });
    expect(rotated.image).toMatchObject({ width: 136, height: 240, orientation: 6 });
    const stored = await greyLevels(await download(plain.files.probability?.url));
    const shown = await greyLevels(await download(rotated.files.probability?.url));
    expect([shown.width, shown.height]).toEqual([136, 240]);
    // Orientation 6: the first stored row is the last shown column.
    const expected = shown.levels.map((_, i) => {
      const [x, y] = [i % 136, Math.floor(i / 136)];
      return stored.levels[(135 - x) * 240 + y] ?? -1;
    });
    expect(shown.levels).toEqual(expected);
  });

  it("of a bundled sample by the SDK, listed, then erased", async () => {
    const { analyses } = service.client;
    const image = new Uint8Array(await readFile("test/samples/receipt-forged.jpg"));
    const analysis = await analyses.create({ image, filename: "receipt.jpg", wait: 60 });
    expect(analysis.status).toBe("succeeded");
    const page = await analyses.list({ limit: 5 });
    expect(page.data.map(({ id }) => id)).toContain(analysis.id);
    const address = analysis.files.probability?.url ?? "";
    await analyses.delete(analysis.id);
    await expect(analyses.retrieve(analysis.id)).rejects.toMatchObject({ code: "gone" });
    expect((await fetch(address)).status).toBe(404);
  });
});

describe("a signed address", () => {
  const parameter = (name: string, value: string) => (url: URL) => url.searchParams.set(name, value);
  const path = (from: RegExp, to: string) => (url: URL) => {
    url.pathname = url.pathname.replace(from, to);
  };
  const asSigned = () => undefined;
  const refused = [400, 401, 403, 404, 405, 501];

  /** What somebody who holds the address of a file could make of it. */
  const changes: [what: string, change: (url: URL, of: { report: URL; input: string }) => void][] = [
    ["another file", (url, { report }) => path(/[^/]+$/, report.pathname.replace(/^.*\//, ""))(url)],
    ["the image that was sent", (url, { input }) => path(/results\/.*$/, input)(url)],
    ["a way up", path(/$/, "/%2e%2e/%2e%2e/")],
    ["the whole bucket", path(/results\/.*$/, "")],
    [
      "another file's signature",
      (url, { report }) => parameter("X-Amz-Signature", report.searchParams.get("X-Amz-Signature") ?? "")(url),
    ],
    ["no signature", (url) => url.searchParams.delete("X-Amz-Signature")],
    ["an empty signature", parameter("X-Amz-Signature", "")],
    ["a longer life", parameter("X-Amz-Expires", "604800")],
    [
      "a later beginning",
      parameter("X-Amz-Date", new Date(Date.now() + 60_000).toISOString().replaceAll(/[-:]|\.\d+/g, "")),
    ],
    ["another's name", parameter("X-Amz-Credential", "nobody/20261126/auto/s3/aws4_request")],
    ["no signed headers", parameter("X-Amz-SignedHeaders", "")],
    ["no algorithm", parameter("X-Amz-Algorithm", "none")],
    ["another type for the browser", parameter("response-content-type", "text/html")],
    ["one more parameter", parameter("acl", "")],
  ];

  it("opens what it was signed for, in the way that it was signed for, and nothing else", async () => {
    const image = await photograph(120, 100);
    const { id } = await service.client.analyses.create({ image, wait: 60 });
    const owner: { account_id: string } = JSON.parse(await readFile(join(state.path, "secrets.json"), "utf8"));
    const input = `inputs/${owner.account_id}/${id}`;
    const ask = async (change: (typeof changes)[number][1], method = "GET") => {
      // Signed anew each time: it must not be its age that it is refused for.
      const { files } = await service.client.analyses.retrieve(id);
      const url = new URL(files.mask?.url ?? "");
      change(url, { report: new URL(files.report?.url ?? ""), input });
      const answer = await fetch(url, { method, ...(method === "GET" ? {} : { body: "something else" }) });
      await answer.body?.cancel();
      return answer.status;
    };
    expect(await ask(asSigned)).toBe(200);
    for (const [what, change] of changes) expect(refused, what).toContain(await ask(change));
    for (const method of ["PUT", "POST", "DELETE"]) expect(refused, method).toContain(await ask(asSigned, method));
    const { files } = await service.client.analyses.retrieve(id);
    const left = createHash("sha256").update(await download(files.mask?.url));
    expect(left.digest("hex")).toBe(files.mask?.sha256);
  });

  it("that takes an upload shows nothing, and takes nothing else", async () => {
    const response = await service.fetch("/v1/uploads", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"bytes":9,"content_type":"image/png"}',
    });
    const { put } = uploadSchema.parse(await response.json());
    if (put === null) throw new Error("the upload has no address");
    // fetch counts the bytes itself.
    const { "content-length": _, ...headers } = put.headers;
    const send = async (change: (url: URL) => void, init: RequestInit = {}) => {
      const url = new URL(put.url);
      change(url);
      const answer = await fetch(url, { method: "PUT", headers, body: "nine byte", ...init });
      await answer.body?.cancel();
      return answer.status;
    };
    expect(refused).toContain(await send(path(/[^/]+$/, "another")));
    expect(refused).toContain(await send(path(/uploads\//, "results/")));
    expect(refused).toContain(await send(parameter("X-Amz-Expires", "604800")));
    expect(refused).toContain(await send(asSigned, { body: "ten bytes." }));
    expect(refused).toContain(await send(asSigned, { headers: { ...headers, "content-type": "text/html" } }));
    for (const method of ["GET", "DELETE"]) {
      expect(refused, method).toContain(await send(asSigned, { method, body: null }));
    }
    expect(await send(asSigned)).toBe(200);
  });
});

describe("refusals", () => {
  const good = () => photograph(96, 96);
  const raw = { "content-type": "image/jpeg", prefer: "wait=60" };

  async function expectRefusal(response: Response, status: number, code: string) {
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const problem = problemDocument.parse(await response.json());
    expect(problem).toMatchObject({ status, code });
    expect(response.status).toBe(status);
    expect(problem.detail).toMatch(/\w/);
    return problem;
  }

  async function expectServing() {
    expect(await service.client.analyses.create({ image: await good(), wait: 60 })).toMatchObject({
      status: "succeeded",
    });
  }

  it("an empty body", async () => {
    await expectRefusal(await post(new Uint8Array(), raw), 400, "empty_body");
    await expectRefusal(await post(form(new Uint8Array())), 400, "empty_body");
    const without = new FormData();
    without.set("options", "{}");
    await expectRefusal(await post(without), 400, "empty_body");
    await expectServing();
  });

  it("a text file named .jpg", async () => {
    const text = new TextEncoder().encode("Dear Sir or Madam, please find attached\n".repeat(20));
    await expectRefusal(await post(form(text)), 415, "unsupported_media_type");
    await expectServing();
  });

  it("a 50 MB file", async () => {
    const image = new Uint8Array(Buffer.concat([await good(), randomBytes(50_000_000)]));
    await expectRefusal(await post(form(image)), 413, "image_too_large");
    await expectRefusal(await post(image, raw), 413, "image_too_large");
    await expectServing();
  });

  it("a wrong key, a malformed one, none", async () => {
    const wrong = service.apiKey.slice(0, -1) + (service.apiKey.endsWith("0") ? "1" : "0");
    const image = await good();
    for (const authorization of [`Bearer ${wrong}`, "Bearer sesame", "Basic b21uaQ=="]) {
      await expectRefusal(await post(form(image), { authorization }), 401, "unauthorized");
    }
    const keyless = await fetch(`${service.baseUrl}/v1/analyses/${newId("analysis")}`);
    await expectRefusal(keyless, 401, "unauthorized");
    expect(keyless.headers.get("www-authenticate")).toMatch(/^Bearer/);
    await expectServing();
  });

  it("unknown fields, by their names", async () => {
    const image = await good();
    for (const [response, path] of [
      [await post(form(image, { treshold: "0.5" })), "treshold"],
      [await post(form(image, { options: '{"treshold":0.5}' })), "options.treshold"],
      [await post(form(image, { options: '{"threshold":2}' })), "options.threshold"],
      [await post(form(image), {}, "?page=2"), "page"],
    ] as const) {
      const problem = await expectRefusal(response, 400, "invalid_request");
      expect(JSON.stringify(problem.errors)).toContain(path.replace(/^.*\./, ""));
    }
    await expectServing();
  });

  it("an id that is not one, one that is nobody's, a path that is none", async () => {
    await expectRefusal(await service.fetch("/v1/analyses/an_1"), 400, "invalid_request");
    await expectRefusal(await service.fetch(`/v1/analyses/${newId("analysis")}`), 404, "not_found");
    await expectRefusal(await service.fetch("/v2/analyses"), 404, "not_found");
  });

  it("an image that cannot be decoded is an analysis that failed, with the problem in it", async () => {
    const whole = await photograph(400, 300);
    const truncated = whole.slice(0, Math.floor(whole.length / 3));
    const analysis = await resource(await post(form(truncated), { prefer: "wait=60" }));
    expect(analysis).toMatchObject({ status: "failed", error: { code: "image_corrupt", status: 422 }, files: {} });
    await expectServing();
  });

  it("so is one of 1 × 1", async () => {
    const dot = await sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    const analysis = await resource(await post(form(new Uint8Array(dot)), { prefer: "wait=60" }));
    expect(analysis).toMatchObject({ status: "failed", attempts: 1, error: { code: "image_too_small", status: 422 } });
    await expectServing();
  });
});

it("no process of the stack has logged a key, a secret, a signed address, or what a picture is said to be", async () => {
  const image = await photograph(320, 240);
  const fields = { metadata: '{"case":"of-the-metadata"}' };
  const analysis = await resource(await post(form(image, fields, "of-the-file.jpg"), { prefer: "wait=60" }));
  await download(analysis.files.mask?.url);
  await fetch(withAlteredSignature(analysis.files.mask?.url ?? ""));
  await service.fetch("/v1/analyses?token=in-the-query");
  const broken = await resource(await post(form(image.slice(0, 900)), { prefer: "wait=60" }));
  await service.fetch("/v1/analyses", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"image_url":"http://127.0.0.1:1/photo.jpg?token=of-the-image-url"}',
  });

  const secrets = Object.values<string>(JSON.parse(await readFile(join(state.path, "secrets.json"), "utf8")));
  const environment = await readFile(join(state.path, "edge.env"), "utf8");
  const settings = [...environment.matchAll(/^\w*(?:SECRET|ACCESS_KEY)\w*="?([^"\n]+)"?$/gm)].map(
    ([, value = ""]) => value,
  );
  // Ids are no secrets: they are what a log is searched by.
  const hidden = [...secrets.filter((value) => !/^(ac|ak)_/.test(value)), ...settings];
  expect(hidden.length).toBeGreaterThanOrEqual(4);
  const words = ["X-Amz-", "of-the-metadata", "of-the-file", "in-the-query", "of-the-image-url"];
  const folder = join(state.path, "logs");
  const logs = (await readdir(folder)).filter((name) => name.endsWith(".log"));
  expect(logs).toEqual(expect.arrayContaining(["edge.log", "gpu-runner.log", "egress-proxy.log"]));
  for (const name of logs) {
    const log = await readFile(join(folder, name), "utf8");
    for (const word of [...hidden, ...words]) expect(log.includes(word), `${name} holds ${word}`).toBe(false);
  }
  expect(await readFile(join(folder, "edge.log"), "utf8")).toContain(broken.id);
  expect(await readFile(join(folder, "gpu-runner.log"), "utf8")).toContain(analysis.id);
});

it("nothing that wrangler has for developers shows what is stored, or keeps a trace of it", async () => {
  for (const path of ["/cdn-cgi/explorer", "/cdn-cgi/explorer/api/r2/buckets", "/cdn-cgi/explorer/api/d1/database"]) {
    expect((await service.fetch(path)).status, path).toBe(404);
  }
  expect(await readdir(join(state.path, "storage/v3"))).not.toContain("observability");
});
