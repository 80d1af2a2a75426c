/** The program: what it says when it cannot start, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Caller, secret } from "./testing/caller.ts";
import { LocalStorage } from "./testing/storage.ts";

const program = fileURLToPath(new URL("./main.ts", import.meta.url));
const readyLine = z.object({ msg: z.literal("ready"), port: z.int(), release: z.string() });
const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

function start(environment: Record<string, string>) {
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env["PATH"], PORT: "0", RUNNER_SECRET: secret, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  return child;
}

/** Exit code and standard error of a start that fails. */
async function failure(environment: Record<string, string>) {
  const child = start(environment);
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  return { code, text };
}

async function ready(child: ReturnType<typeof start>) {
  for await (const line of createInterface(child.stdout)) {
    const parsed = readyLine.safeParse(JSON.parse(line));
    if (parsed.success) return parsed.data;
  }
  throw new Error("the program ended before it was ready");
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("what it cannot start with is one line on standard error and exit code 1", () => {
  it("no secret", async () => {
    const { code, text } = await failure({ RUNNER_SECRET: "" });
    expect([code, text]).toEqual([1, "gpu-runner: RUNNER_SECRET is needed: the secret that the edge signs with\n"]);
  });

  it("a value that does not fit", async () => {
    const { code, text } = await failure({ PROVIDER: "tpu" });
    expect(code).toBe(1);
    expect(text).toMatch(/^gpu-runner: PROVIDER .*cpu.*cuda.*\n$/);
  });

  it("no model", async () => {
    const { code, text } = await failure({ MODEL_DIR: mkdtempSync(join(tmpdir(), "no-model-")) });
    expect(code).toBe(1);
    expect(text).toMatch(/^gpu-runner: the model release cannot be read: .*manifest\.json: ENOENT.*MODEL_DIR.*\n$/);
  });

  it("cuda where there is none: no silent fallback", async () => {
    const { code, text } = await failure({ PROVIDER: "cuda" });
    expect(code).toBe(1);
    expect(text).toMatch(/^gpu-runner: the model cannot be served by the cuda provider: /m);
  });

  it("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    const { code, text } = await failure({ PORT: port });
    server.close();
    expect(code).toBe(1);
    expect(text).toMatch(/^gpu-runner: cannot listen at 127\.0\.0\.1:\d+: .*EADDRINUSE.*\n$/);
  });
});

it("is alive and not ready while the model loads, and ready from then on", async () => {
  const place = createServer().listen(0, "127.0.0.1");
  await once(place, "listening");
  const address = place.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => place.close(resolve));
  const child = start({ PORT: String(port) });
  const told = ready(child);
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  await expect.poll(async () => (await get("/healthz")).status, { timeout: 30_000, interval: 20 }).toBe(200);
  const before = await get("/readyz");
  expect([before.status, await before.json()]).toEqual([503, expect.objectContaining({ code: "runner_unavailable" })]);
  expect(await (await get("/metrics")).text()).toMatch(/^omni_runner_ready 0$/m);
  await told;
  expect((await get("/readyz")).status).toBe(200);
});

it("lets a running job end after SIGTERM, takes no other, sends its spans, and leaves no process behind", async () => {
  await using storage = await LocalStorage.start();
  const spans: string[] = [];
  const collector = createHttpServer(async (request, response) => {
    for await (const chunk of request.setEncoding("utf8")) spans.push(chunk);
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  }).listen(0, "127.0.0.1");
  await once(collector, "listening");
  const collecting = collector.address();
  const collectorPort = typeof collecting === "object" && collecting !== null ? collecting.port : 0;
  const child = start({ LOG_LEVEL: "debug", OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}` });
  const { port, release } = await ready(child);
  const caller = new Caller(port, release, storage);
  const photo = readFileSync(new URL("./image/golden/baseline-420.jpg", import.meta.url));
  const processes = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").map(Number);
  expect(processes).toHaveLength(1);
  const first = caller.analyse(photo, {
    onLine: (line) => {
      if (line.type === "stage" && line.stage === "queued") child.kill("SIGTERM");
    },
  });
  expect((await first).result).not.toBeNull();
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  expect(processes.filter(alive)).toEqual([]);
  const named = [...spans.join("").matchAll(/"name":"(\w+)"/g)].map(([, name]) => name);
  expect(named).toEqual(
    expect.arrayContaining(["analyse", "download", "queued", "decode", "inference", "encode", "upload"]),
  );
  collector.closeAllConnections();
  collector.close();
});

it("SIGTERM under load: every caller gets the result or the job back, /readyz says no, and the end comes in time", async () => {
  await using storage = await LocalStorage.start();
  const child = start({ IMAGE_THREADS: "2", DRAIN_SECONDS: "120" });
  const { port, release } = await ready(child);
  const caller = new Caller(port, release, storage);
  const photo = readFileSync(new URL("./image/golden/baseline-420.jpg", import.meta.url));
  const large = await sharp(photo).resize(700, 500).jpeg().toBuffer();
  const begun = Promise.withResolvers<void>();
  const load = Array.from({ length: 8 }, () =>
    caller.analyse(large, {
      outputs: [],
      onLine: (line) => {
        if (line.type === "stage" && line.stage === "inference") begun.resolve();
      },
    }),
  );
  await begun.promise;
  // All of them are admitted before the end begins.
  await expect
    .poll(async () => (await caller.get("/metrics")).text(), { timeout: 20_000 })
    .toMatch(/^omni_runner_waiting_jobs 6$/m);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await expect.poll(async () => (await caller.get("/readyz")).status, { timeout: 5000 }).toBe(503);
  expect((await caller.analyse(photo)).problem).toMatchObject({ code: "runner_unavailable", retryable: true });
  const answers = await Promise.all(load);
  const ends = answers.map(({ result, problem }) => (result === null ? problem?.code : "result"));
  expect(ends.filter((end) => end === "result")).toHaveLength(2);
  expect(ends.filter((end) => end === "runner_unavailable")).toHaveLength(6);
  expect((await exited)[0]).toBe(0);
}, 180_000);

it("leaves no inference process behind when it is killed", async () => {
  const child = start({});
  await ready(child);
  const processes = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").map(Number);
  child.kill("SIGKILL");
  await once(child, "exit");
  await expect.poll(() => processes.filter(alive), { timeout: 10_000 }).toEqual([]);
});
