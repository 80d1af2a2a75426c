/** The runner from the outside: real HTTP, real inference process, released model, local storage. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "@omni-iml/shared/ids";
import type { InferLine } from "@omni-iml/shared/inference";
import { pino } from "pino";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { type Runner, startRunner } from "./runner.ts";
import { Caller, secret } from "./testing/caller.ts";
import { LocalStorage } from "./testing/storage.ts";

const golden = (name: string) => readFileSync(new URL(`./image/golden/${name}`, import.meta.url));
const photo = golden("baseline-420.jpg");

let runner: Runner;
let storage: LocalStorage;
let caller: Caller;
/** Nine tiles: long enough for something to happen in the middle. */
let large: Buffer;
/** Milliseconds that the large image takes when nothing stops it. */
let wholeTime = 0;

beforeAll(async () => {
  storage = await LocalStorage.start();
  const configuration = readConfiguration({
    PORT: "0",
    RUNNER_SECRET: secret,
    MAX_PIXELS: "3000000",
    MAX_QUEUED_PIXELS: "4000000",
    LOG_LEVEL: "silent",
  });
  runner = await startRunner(configuration, pino({ level: configuration.LOG_LEVEL }));
  caller = new Caller(runner.port, runner.release, storage);
  large = await sharp(randomBytes(1500 * 1500 * 3), { raw: { width: 1500, height: 1500, channels: 3 } })
    .jpeg({ quality: 50 })
    .toBuffer();
});

afterAll(async () => {
  await runner?.drain();
  await storage?.[Symbol.asyncDispose]();
});

function stagesOf(lines: readonly InferLine[]): string[] {
  return lines.flatMap((line) => (line.type === "stage" ? [line.stage] : [])).filter((s, i, all) => s !== all[i - 1]);
}

function inferring(line: InferLine): boolean {
  return line.type === "stage" && line.stage === "inference" && line.progress !== null;
}

async function waitUntil(condition: () => Promise<boolean>, within = 30_000): Promise<void> {
  for (const end = Date.now() + within; !(await condition()); await sleep(50)) {
    if (Date.now() > end) throw new Error("the condition did not come true");
  }
}

async function metric(name: string): Promise<number> {
  const text = await (await caller.get("/metrics")).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

describe("an analysis", () => {
  it("goes through its stages and leaves its files where it was told to", async () => {
    const { job, status, lines, result } = await caller.analyse(photo);
    expect(status).toBe(200);
    expect(stagesOf(lines)).toEqual([
      "download",
      "queued",
      "decode",
      "inference",
      "evidence",
      "interpretation",
      "encode",
      "upload",
    ]);
    expect(result?.finding.model).toMatchObject({ name: "omni-iml", release: runner.release, provider: "cpu" });
    for (const [name, file] of Object.entries(result?.files ?? {})) {
      const object = storage.objects.get(`/${job}/${name}`) ?? Buffer.alloc(0);
      expect(file).toEqual({
        bytes: object.length,
        sha256: createHash("sha256").update(object).digest("hex"),
        content_type: storage.contentTypes.get(`/${job}/${name}`),
      });
    }
    expect(Object.keys(result?.files ?? {}).sort()).toEqual(["mask", "overlay", "probability", "report"]);
    const report: unknown = JSON.parse(storage.objects.get(`/${job}/report`)?.toString() ?? "");
    expect(report).toMatchObject({
      analysis: job,
      verdict: result?.finding.verdict,
      release: { licence: "Apache-2.0" },
      files: { mask: { sha256: result?.files.mask?.sha256 } },
    });
    const timings = Object.keys(result?.finding.timings ?? {});
    expect(timings).toEqual([
      "download",
      "queue",
      "decode",
      "inference",
      "evidence",
      "interpretation",
      "encode",
      "upload",
      "total",
    ]);
  });

  it("makes only the files that are wanted", async () => {
    const { job, result } = await caller.analyse(photo, { outputs: ["mask"] });
    expect(Object.keys(result?.files ?? {})).toEqual(["mask"]);
    expect(storage.objects.has(`/${job}/report`)).toBe(false);
  });
});

describe("what is refused", () => {
  it.each([
    ["a truncated JPEG", () => photo.subarray(0, 2000), 422, "image_corrupt"],
    ["text named .jpg", () => Buffer.from("this is a letter and no photograph at all"), 415, "unsupported_media_type"],
    ["a PDF", () => Buffer.from("%PDF-1.7 and so on and so on"), 415, "unsupported_media_type"],
    ["an image of 40×40", () => tiny, 422, "image_too_small"],
    ["a bomb", () => bomb, 422, "image_too_many_pixels"],
    ["a JPEG of 300 megapixels, by its header", () => gigantic, 422, "image_too_many_pixels"],
  ])("%s, and the next image is analysed", async (_, image, status, code) => {
    const answer = await caller.analyse(image());
    // The truncated JPEG has a whole header: it is admitted, and its problem is the last line.
    expect([status, 200]).toContain(answer.status);
    expect(answer.problem).toMatchObject({ code, status });
    expect((await caller.analyse(photo, { outputs: [] })).result).not.toBeNull();
  });

  let tiny: Buffer;
  let bomb: Buffer;
  let gigantic: Buffer;
  beforeAll(async () => {
    tiny = await sharp({ create: { width: 40, height: 40, channels: 3, background: "#888" } })
      .png()
      .toBuffer();
    bomb = Buffer.from(golden("rgb.png"));
    bomb.writeUInt32BE(50_000, 16);
    bomb.writeUInt32BE(50_000, 20);
    gigantic = Buffer.from(photo);
    // Height and width of the frame header (ITU-T T.81, B.2.2).
    const frame = gigantic.indexOf(Buffer.from([0xff, 0xc0]));
    gigantic.writeUInt16BE(15_000, frame + 5);
    gigantic.writeUInt16BE(20_000, frame + 7);
  });

  it("a request that the edge did not sign", async () => {
    const answer = await caller.analyse(photo, { secret: "another secret altogether" });
    expect([answer.status, answer.problem?.code]).toEqual([401, "unauthorized"]);
    const unsigned = await fetch(`http://127.0.0.1:${runner.port}/v1/infer`, { method: "POST", body: "{}" });
    expect(unsigned.status).toBe(401);
    // What is refused at the door is counted as well.
    expect(await metric('omni_runner_jobs_total{outcome="unauthorized"}')).toBe(2);
  });

  it("a request outside the contract, with the field that does not fit", async () => {
    const answer = await caller.analyse(photo, { extra: { colour: "blue" } });
    expect([answer.status, answer.problem?.code]).toEqual([400, "invalid_request"]);
    expect(answer.problem?.errors?.[0]?.message).toContain("colour");
  });

  it("another release", async () => {
    const answer = await caller.analyse(photo, { release: "0.0.0-other" });
    expect([answer.status, answer.problem?.code, answer.problem?.retryable]).toEqual([409, "release_mismatch", true]);
  });

  it("a job whose deadline has passed", async () => {
    const answer = await caller.analyse(photo, { deadline: Date.now() - 1 });
    expect(answer.problem?.code).toBe("deadline_exceeded");
  });

  it("more bytes than it takes", async () => {
    const answer = await caller.analyse(photo, { bytes: 500 * 1024 * 1024 });
    expect([answer.status, answer.problem?.code]).toEqual([413, "image_too_large"]);
  });
});

describe("storage", () => {
  it("whose input is another than was accepted ends the job", async () => {
    expect((await caller.analyse(photo, { sha256: "a".repeat(64) })).problem?.code).toBe("input_changed");
    expect((await caller.analyse(photo, { bytes: photo.length - 1 })).problem?.code).toBe("input_changed");
    expect((await caller.analyse(photo, { bytes: photo.length + 1 })).problem?.code).toBe("input_changed");
  });

  it("without the input: input_unavailable", async () => {
    const answer = await caller.send(newId("analysis"), photo);
    expect(answer.problem).toMatchObject({ code: "input_unavailable", retryable: true });
  });

  it("that stumbles is asked again, for reading and for writing", async () => {
    const job = newId("analysis");
    storage.objects.set(`/${job}/input`, photo);
    storage.failures.set(`GET /${job}/input`, [503]);
    storage.failures.set(`PUT /${job}/mask`, [500, 503]);
    const { result } = await caller.send(job, photo);
    expect(result).not.toBeNull();
    expect(storage.objects.has(`/${job}/mask`)).toBe(true);
  });

  it("that does not take a result: output_unavailable as the last line", async () => {
    const job = newId("analysis");
    storage.objects.set(`/${job}/input`, photo);
    storage.failures.set(`PUT /${job}/overlay`, [403]);
    const answer = await caller.send(job, photo);
    expect(answer.status).toBe(200);
    expect(answer.problem).toMatchObject({ code: "output_unavailable", retryable: true, instance: job });
  });

  it("that is slow hears from the runner at least every five seconds; what is wrong then is the last line", async () => {
    const job = newId("analysis");
    storage.objects.set(`/${job}/input`, Buffer.from("this is a letter and no photograph at all"));
    storage.delays.set(`/${job}/input`, 9500);
    const times = [Date.now()];
    const answer = await caller.send(job, Buffer.from("this is a letter and no photograph at all"), {
      onLine: () => times.push(Date.now()),
    });
    expect(answer.status).toBe(200);
    expect(answer.problem?.code).toBe("unsupported_media_type");
    expect(answer.lines.filter((line) => line.type === "stage" && line.stage === "download").length).toBeGreaterThan(1);
    const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(Math.max(...pauses)).toBeLessThan(5000);
  });
});

describe("admission", () => {
  it("answers 429 at once when it has its fill of pixels, and takes work again afterwards", async () => {
    const taken = Promise.withResolvers<void>();
    const first = caller.analyse(large, { outputs: [], onLine: () => taken.resolve() });
    await taken.promise;
    const start = Date.now();
    const second = await caller.analyse(large, { outputs: [] });
    expect(Date.now() - start).toBeLessThan(3000);
    expect([second.status, second.problem?.code]).toEqual([429, "runner_busy"]);
    expect(Number(second.retryAfter)).toBeGreaterThanOrEqual(1);
    // A small image still fits beside the large one.
    expect((await caller.analyse(photo, { outputs: [] })).result).not.toBeNull();
    const { result } = await first;
    expect(result).not.toBeNull();
    wholeTime = result?.finding.timings["inference"] ?? 0;
    expect(await metric("omni_runner_pixels")).toBe(0);
  });
});

describe("work that nobody waits for", () => {
  it("ends with deadline_exceeded in the middle, and is given up between two tiles", async () => {
    const answer = await caller.analyse(large, { deadline: Date.now() + 200 + Math.round(wholeTime / 5) });
    expect(answer.problem?.code).toBe("deadline_exceeded");
    expect(await metric("omni_runner_pixels")).toBe(0);
    await waitUntil(async () => (await metric("omni_runner_running_jobs")) === 0, wholeTime / 2);
    expect((await caller.analyse(photo, { outputs: [] })).result).not.toBeNull();
  });

  it("is dropped when the caller hangs up", async () => {
    const before = await metric('omni_runner_jobs_total{outcome="withdrawn"}');
    const hangUp = new AbortController();
    const answer = caller.analyse(large, {
      signal: hangUp.signal,
      onLine: (line) => {
        if (inferring(line)) hangUp.abort();
      },
    });
    await expect(answer).rejects.toThrow();
    await waitUntil(async () => (await metric('omni_runner_jobs_total{outcome="withdrawn"}')) === before + 1);
    expect(await metric("omni_runner_pixels")).toBe(0);
    expect((await caller.analyse(photo, { outputs: [] })).result).not.toBeNull();
  });
});

it("answers inference_crashed when the inference process is killed in the middle, and serves the next job", async () => {
  const before = runner.inferencePid();
  const killed = caller.analyse(large, {
    onLine: (line) => {
      if (inferring(line) && before !== undefined && runner.inferencePid() === before) process.kill(before, "SIGKILL");
    },
  });
  const answer = await killed;
  expect(answer.status).toBe(200);
  expect(answer.problem).toMatchObject({ code: "inference_crashed", retryable: true });
  const [ready, refusal] = [await caller.get("/readyz"), await metric("omni_runner_ready")];
  expect([ready.status, ready.headers.get("retry-after"), refusal]).toEqual([503, "2", 0]);
  // At once, without waiting for it to be back.
  const next = await caller.analyse(photo);
  expect(next.result).not.toBeNull();
  expect(runner.inferencePid()).not.toBe(before);
  expect(await metric("omni_runner_inference_crashes_total")).toBe(1);
  expect(await metric("omni_runner_batch_tiles_count")).toBeGreaterThan(0);
  expect(await metric("omni_runner_inference_memory_bytes")).toBeGreaterThan(1e7);
}, 120_000);

it("refuses a file the third time when the process was killed twice in its hands, and nothing else", async () => {
  const poison = await sharp(large).extract({ left: 0, top: 0, width: 800, height: 700 }).png().toBuffer();
  const killing = async () => {
    await waitUntil(async () => (await caller.get("/readyz")).status === 200, 60_000);
    const pid = runner.inferencePid();
    return caller.analyse(poison, {
      outputs: [],
      onLine: (line) => {
        if (inferring(line) && pid !== undefined && runner.inferencePid() === pid) process.kill(pid, "SIGKILL");
      },
    });
  };
  for (let time = 1; time <= 2; time++) {
    expect((await killing()).problem).toMatchObject({ code: "inference_crashed", retryable: true });
  }
  const third = await caller.analyse(poison);
  expect([third.status, third.problem?.code, third.problem?.retryable]).toEqual([422, "image_crashes_analysis", false]);
  expect((await caller.analyse(photo, { outputs: [] })).result).not.toBeNull();
  // Three starts of the inference process, each with the whole model.
}, 240_000);

describe("the other routes", () => {
  it("say that it lives, that it is ready, and what it serves", async () => {
    expect((await caller.get("/healthz")).status).toBe(200);
    await waitUntil(async () => (await caller.get("/readyz")).status === 200);
    const model: unknown = await (await caller.get("/v1/model")).json();
    expect(model).toMatchObject({ name: "omni-iml", release: runner.release, provider: "cpu", ready: true });
    const nothing = await caller.get("/v2");
    expect([nothing.status, nothing.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  });
});
