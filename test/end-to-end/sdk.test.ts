/** The client and the command against a stack that `npm start` brought up. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Analysis, isProblem, type OmniIml } from "@omni-iml/sdk";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { LocalService, temporaryState } from "./local-service.ts";
import { photograph } from "./pictures.ts";

const repository = resolve(import.meta.dirname, "../..");
const samples = join(repository, "test/samples");

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;
let client: OmniIml;

beforeAll(async () => {
  state = await temporaryState();
  service = await LocalService.start(state.path, await freePort(), { EGRESS_ALLOW_LOOPBACK: "1" });
  client = service.client;
});
afterAll(async () => {
  await service.interrupt();
  await state[Symbol.asyncDispose]();
});

describe("the client", () => {
  it("follows an analysis to its end, finds it in the list, and erases it", async () => {
    const image = await photograph(300, 200);
    const idempotencyKey = crypto.randomUUID();
    const created = await client.analyses.create({ image, wait: 0, metadata: { case: "17" } }, { idempotencyKey });
    const again = await client.analyses.create({ image, wait: 0, metadata: { case: "17" } }, { idempotencyKey });
    expect(again.id).toBe(created.id);
    const happened: string[] = [];
    let end: Analysis | undefined;
    for await (const { event, data } of client.analyses.stream(created.id)) {
      happened.push(event);
      if (event === "end") end = data;
    }
    expect(end).toMatchObject({ id: created.id, status: "succeeded", metadata: { case: "17" } });
    expect(happened).toContain("stage");
    expect(happened.indexOf("end")).toBe(happened.length - 1);
    expect(await client.analyses.wait(created.id)).toMatchObject({ status: "succeeded" });

    const second = await client.analyses.create({ image, wait: 60 });
    expect(second.cached).toBe(true);
    const listed: string[] = [];
    for await (const { id } of await client.analyses.list({ limit: 1 })) listed.push(id);
    expect(listed.slice(0, 2)).toEqual([second.id, created.id]);

    const noted = await client.analyses.feedback(created.id, { finding: "right" });
    expect(noted.feedback).toMatchObject({ finding: "right" });
    await client.analyses.delete(created.id);
    const refusal = await client.analyses.retrieve(created.id).catch((error: unknown) => error);
    expect(isProblem(refusal, "gone")).toBe(true);
    expect(await client.analyses.erasure(created.id)).toMatchObject({ reason: "deleted", results_shared: true });
  });

  it("uploads by itself what no request can carry, and cancels", async () => {
    const [width, height] = [2700, 2700];
    const noise = { type: "gaussian", mean: 128, sigma: 40 } as const;
    const picture = sharp({ create: { width, height, channels: 3, background: "grey", noise } });
    const image = new Uint8Array(await picture.tiff({ compression: "none" }).toBuffer());
    const analysis = await client.analyses.create({ image: new Blob([image], { type: "image/tiff" }), wait: 0 });
    expect(analysis.input).toMatchObject({ bytes: image.length, content_type: "image/tiff" });
    expect(await client.analyses.cancel(analysis.id)).toMatchObject({ status: "canceled" });
  });

  it("has a batch of uploads analysed, item by item", async () => {
    const upload = await client.uploads.send(new File([await photograph(120, 100)], "one.jpg", { type: "image/jpeg" }));
    expect(await client.uploads.retrieve(upload.id)).toMatchObject({ status: "uploaded", filename: "one.jpg" });
    const { id } = await client.batches.create({
      items: [{ upload_id: upload.id }, { image_url: "http://10.0.0.1/private.jpg" }],
    });
    expect(await client.batches.wait(id, { timeout: 100 })).toMatchObject({ counts: { succeeded: 1, refused: 1 } });
    const outcomes: (string | undefined)[] = [];
    for await (const { status, error } of await client.batches.items(id, { limit: 1 })) {
      outcomes.push(error?.code ?? status);
    }
    expect(outcomes).toEqual(["succeeded", "image_url_refused"]);
  });
});

describe("the command", () => {
  function start(...args: string[]) {
    const env = { ...process.env, OMNI_IML_KEY: service.apiKey, OMNI_IML_URL: service.baseUrl };
    const child = spawn(process.execPath, [join(repository, "sdk/command/main.ts"), ...args], { env });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    return { child: child as ChildProcess, output, ended: new Promise((done) => child.once("close", done)) };
  }

  it("analyses a file and standard input, stores the files, and ends as the verdicts say", async () => {
    const out = await mkdtemp(join(tmpdir(), "omni-iml-out-"));
    const { child, output, ended } = start("analyze", join(samples, "receipt-forged.jpg"), "-", "--json", "--out", out);
    child.stdin?.end(await readFile(join(samples, "receipt-authentic.jpg")));
    const status = await ended;
    expect(output.stderr).toBe("");
    const lines: { input: string; analysis: Analysis }[] = output.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ analysis }) => analysis.status)).toEqual(["succeeded", "succeeded"]);
    expect(status).toBe(lines.some(({ analysis }) => analysis.verdict === "tampered") ? 1 : 0);
    const files = ["mask.png", "overlay.png", "probability.png", "report.html", "report.json", "report.pdf"];
    const stored = ["receipt-forged.jpg", "stdin"].flatMap((image) => files.map((name) => `${image}.${name}`));
    expect((await readdir(out)).sort()).toEqual(stored);
    const map = await sharp(join(out, "receipt-forged.jpg.probability.png")).metadata();
    const forged = lines.find(({ input }) => input !== "-")?.analysis;
    expect(forged?.image).toMatchObject({ width: map.width, height: map.height });
    await rm(out, { recursive: true });
  });

  it("brings webhooks to this machine, verified, until it is interrupted", async () => {
    const { child, output, ended } = start("webhooks", "listen");
    await expect.poll(() => output.stdout + output.stderr, { timeout: 60_000 }).toContain("webhook.test");
    const { id } = await client.analyses.create({ image: await photograph(100, 100), wait: 60 });
    await expect.poll(() => output.stdout, { timeout: 60_000 }).toContain(`analysis.succeeded  ${id}`);
    const registered = async () =>
      (await client.webhooks.endpoints.list()).filter(({ kind }) => kind === "registered").length;
    expect(await registered()).toBe(1);
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(await registered()).toBe(0);
  });
});
