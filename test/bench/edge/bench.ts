/**
 * `npm run bench:edge`: what the edge costs, side by side with what cannot be done without.
 *
 *   --rounds N          rounds A B B A of cached answers against the bare worker (60)
 *   --runner-rounds N   rounds of analyses through the edge against calls of the runner (8)
 *   --clients N         waiting at the same time on one instance (1000)
 *   --stand-in          the added latency over a runner that reads and stores like the real one, but has no model: where
 *                       the machine is busy, the edge's milliseconds would be lost among the seconds of a network
 *
 * Prints medians, ratios and their 95 % intervals, and the load of the machine before and after. Some minutes.
 */
import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { accountPage } from "@omni-iml/shared/accounts";
import { analysis as analysisSchema, type OutputName } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { inferLine } from "@omni-iml/shared/inference";
import { signedHeaders } from "@omni-iml/shared/signature";
import { edgeVariables } from "../../../infra/local/edge-variables.ts";
import { newLocalAccount } from "../../../infra/local/local-account.ts";
import { requireRelease } from "../../../infra/local/model-release.ts";
import { freePort } from "../../../infra/local/ports.ts";
import { LocalStack, repository } from "../../../infra/local/stack.ts";
import { StateFolder } from "../../../infra/local/state-folder.ts";
import { SupervisedProcess } from "../../../infra/local/supervised-process.ts";
import { type Bytes, photograph } from "../../end-to-end/pictures.ts";
import { difference, inTurns, load, p50, ratio, words } from "./figures.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "60" },
    "runner-rounds": { type: "string", default: "8" },
    clients: { type: "string", default: "1000" },
    "stand-in": { type: "boolean", default: false },
  },
});
const outputs = ["probability", "mask", "overlay", "report"] as const satisfies readonly OutputName[];
const patience = 150_000;
/** Milliseconds that an analysis takes while a crowd gathers. */
const crowdTime = 45_000;
/** Seconds for which addresses are good that were signed before all rounds. */
const addressTime = 86_400;
const report = (line: string) => process.stderr.write(`! ${line}\n`);

const root = await mkdtemp(join(tmpdir(), "omni-iml-bench-"));
const stops: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })];
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

/** A service with an account that no limit holds up. */
class Service {
  readonly baseUrl: string;
  readonly state: StateFolder;
  readonly stack: LocalStack;
  #key = "";

  private constructor(stack: LocalStack, state: StateFolder) {
    this.stack = stack;
    this.state = state;
    this.baseUrl = stack.baseUrl;
  }

  static async start(name: string, more: { runners?: readonly string[] } = {}): Promise<Service> {
    const state = new StateFolder(join(root, name));
    const stack = new LocalStack({ port: await freePort(), state, report, ...more });
    stops.unshift(() => stack.stop());
    const service = new Service(stack, state);
    service.#key = (await stack.start()).apiKey;
    const { data } = accountPage.parse(await (await service.fetch("/v1/accounts")).json());
    const limits = { requests_per_minute: 1_000_000, in_flight_limit: 1_000_000, monthly_quota: 1_000_000 };
    const change = { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(limits) };
    await expectStatus(await service.fetch(`/v1/accounts/${data[0]?.id}`, change), 200);
    return service;
  }

  fetch(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    return fetch(this.baseUrl + path, { ...init, headers: { authorization: `Bearer ${this.#key}`, ...init.headers } });
  }

  async analyse(image: Bytes, prefer: string): Promise<Response> {
    const query = new URLSearchParams({ options: JSON.stringify({ outputs }) });
    const headers = { "content-type": "image/jpeg", prefer };
    return this.fetch(`/v1/analyses?${query}`, { method: "POST", headers, body: image });
  }
}

async function expectStatus(response: Response, status: number): Promise<Response> {
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}

async function ended(response: Response) {
  const found = analysisSchema.parse(await (await expectStatus(response, 201)).json());
  if (found.status !== "succeeded") throw new Error(`an analysis ended ${found.status}: ${found.error?.detail}`);
  return found;
}

/** The bare worker, in a `wrangler dev` of its own like the edge's. */
async function startBareWorker(edge: Service): Promise<string> {
  const port = await freePort();
  const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  const variables = edgeVariables({
    ...{ runnerUrls: [], runnerSecret: "", egressUrl: "", egressSecret: "" },
    storageEndpoint: `${edge.baseUrl}/cdn-cgi/local/r2/s3`,
  });
  const signing = Object.entries({ ...variables, S3_REGION: "auto", S3_BUCKET: "omni-iml" });
  const child = new SupervisedProcess({
    name: "bare-worker",
    args: [
      ...[wrangler, "dev", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", String(await freePort())],
      ...["--persist-to", join(root, "bare-worker")],
      ...signing.filter(([name]) => name.startsWith("S3_")).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
    ],
    cwd: join(import.meta.dirname, "bare-worker"),
    env: {
      ...process.env,
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_REGISTRY_PATH: join(root, "registry"),
      X_LOCAL_OBSERVABILITY: "false",
      X_LOCAL_EXPLORER: "false",
      NO_COLOR: "1",
    },
    logFile: join(root, "bare-worker.log"),
    once: false,
    report,
    started: () => undefined,
  });
  stops.unshift(() => child.stop(5_000));
  const url = `http://127.0.0.1:${port}`;
  await ready(`${url}/healthz`, () => child.lastLines());
  return url;
}

async function ready(url: string, log: () => Promise<string>): Promise<void> {
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    // Not listening yet: asked again.
    if ((await fetch(url).catch(() => null))?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${url} does not answer:\n${await log()}`);
}

/** Other bytes, the same picture: a comment behind the JPEG's first marker. */
function unseen(jpeg: Bytes): Bytes {
  const comment = Buffer.from(randomUUID());
  const segment = Buffer.from([0xff, 0xfe, 0, comment.length + 2]);
  return new Uint8Array(Buffer.concat([jpeg.subarray(0, 2), segment, comment, jpeg.subarray(2)]));
}

/** Calls of the runner as the edge makes them, with addresses in the same storage, signed beforehand. */
async function runnerCaller(edge: Service) {
  const { release } = await requireRelease(join(repository, "model/release"));
  const { runner_secret: secret } = await edge.state.secrets(newLocalAccount);
  const { S3_ACCESS_KEY_ID = "", S3_SECRET_ACCESS_KEY = "" } = edgeVariables({
    ...{ runnerUrls: [], runnerSecret: "", egressUrl: "", egressSecret: "", storageEndpoint: "" },
  });
  const storage = new S3Client({
    endpoint: `${edge.baseUrl}/cdn-cgi/local/r2/s3`,
    region: "auto",
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    credentials: { accessKeyId: S3_ACCESS_KEY_ID, secretAccessKey: S3_SECRET_ACCESS_KEY },
  });
  const place = (key: string) => ({ Bucket: "omni-iml", Key: key });
  const path = "/v1/infer";
  return async (image: Bytes): Promise<() => Promise<void>> => {
    const id = newId("analysis");
    const key = `bench/${id}`;
    await storage.send(new PutObjectCommand({ ...place(`${key}/input`), Body: image }));
    const puts = outputs.map(async (name) => {
      const put = new PutObjectCommand(place(`${key}/${name}`));
      return [name, await getSignedUrl(storage, put, { expiresIn: addressTime })] as const;
    });
    const get = new GetObjectCommand(place(`${key}/input`));
    const job = {
      job_id: id,
      attempt: 1,
      release,
      input_url: await getSignedUrl(storage, get, { expiresIn: addressTime }),
      sha256: createHash("sha256").update(image).digest("hex"),
      bytes: image.byteLength,
      outputs: Object.fromEntries(await Promise.all(puts)),
      options: { outputs },
    };
    return async () => {
      // From now on: on a busy machine its turn may come late.
      const body = JSON.stringify({ ...job, deadline: Date.now() + 600_000 });
      const headers = await signedHeaders(secret, { method: "POST", path, body });
      const response = await fetch(`${edge.stack.runnerUrls[0]}${path}`, { method: "POST", headers, body });
      const lines = (await (await expectStatus(response, 200)).text()).trim().split("\n");
      const last = inferLine.parse(JSON.parse(lines.at(-1) ?? ""));
      if (last.type !== "result") throw new Error(`the runner ends with ${JSON.stringify(last)}`);
    };
  };
}

/** MiB of the worker's processes. */
function workerMemory(service: Service): number {
  const group = service.stack.processGroups.get("edge");
  const rows = execFileSync("ps", ["-eo", "pgid=,rss=,args="], { encoding: "utf8", maxBuffer: 2 ** 26 }).split("\n");
  const sizes = rows.map((row) => /^\s*(\d+)\s+(\d+)\s+(\S+)/.exec(row));
  const workers = sizes.filter((row) => Number(row?.[1]) === group && row?.[3]?.endsWith("workerd"));
  return workers.reduce((sum, row) => sum + Number(row?.[2] ?? 0), 0) / 1024;
}

async function cachedAnswers(edge: Service, megapixel: Bytes): Promise<void> {
  const bare = await startBareWorker(edge);
  await ended(await edge.analyse(megapixel, "wait=60"));
  const a = async () => {
    if (!(await ended(await edge.analyse(megapixel, "wait=60"))).cached) throw new Error("not from what is known");
  };
  const b = async () => (await expectStatus(await fetch(bare, { method: "POST", body: megapixel }), 201)).json();
  await inTurns(3, a, b);
  const rounds = await inTurns(Number(values.rounds), a, b);
  const { a: ours, b: theirs } = p50(rounds);
  console.log(
    `cached answer   p50 ${ours.toFixed(1)} ms, bare worker ${theirs.toFixed(1)} ms, ratio ${words(ratio(rounds), 2)} ` +
      `(goal: at most 2; ${rounds.length} rounds A B B A, ${(megapixel.byteLength / 1024).toFixed(0)} KiB, load ${load()})`,
  );
}

async function addedLatency(edge: Service, megapixel: Bytes): Promise<void> {
  const prepare = await runnerCaller(edge);
  const calls: (() => Promise<void>)[] = [];
  const needed = 2 * Number(values["runner-rounds"]) + 2;
  for (let i = 0; i < needed; i++) calls.push(await prepare(unseen(megapixel)));
  const images = calls.map(() => unseen(megapixel));
  const a = async () => ended(await edge.analyse(images.pop() ?? unseen(megapixel), "wait=60"));
  const b = async () => calls.pop()?.();
  await inTurns(1, a, b);
  const rounds = await inTurns(Number(values["runner-rounds"]), a, b);
  const { a: through, b: direct } = p50(rounds);
  console.log(
    `added latency   p50 ${through.toFixed(0)} ms through the edge, ${direct.toFixed(0)} ms at the runner, ` +
      `added ${words(difference(rounds), 0)} ms (goal: under 60; ${values["stand-in"] ? "a runner without a model; " : ""} ${rounds.length} rounds A B B A, 1 megapixel, load ${load()})`,
  );
}

/** A runner without a model, so that analyses last as long as a crowd needs to gather. */
async function startStandIn(secret: string, milliseconds: number): Promise<string> {
  const port = await freePort();
  const child = new SupervisedProcess({
    name: "stand-in-runner",
    args: [join(repository, "test/faults/stand-in-runner.ts")],
    cwd: repository,
    env: { ...process.env, PORT: String(port), RUNNER_SECRET: secret, SLOTS: "1000", SERVICE_MS: String(milliseconds) },
    logFile: join(root, "stand-in-runner.log"),
    once: false,
    report,
    started: () => undefined,
  });
  stops.unshift(() => child.stop(5_000));
  const url = `http://127.0.0.1:${port}`;
  await ready(`${url}/readyz`, () => child.lastLines());
  return url;
}

async function waitingClients(): Promise<void> {
  const clients = Number(values.clients);
  const analyses = Math.max(1, Math.floor(clients / 10));
  const state = new StateFolder(join(root, "crowd"));
  const { runner_secret: secret } = await state.secrets(newLocalAccount);
  const crowd = await Service.start("crowd", { runners: [await startStandIn(secret, crowdTime)] });
  const image = await photograph(64, 64);
  // Begun at once: `respond-async` would leave it to the queue, which paces them.
  const begin = async () => {
    const response = await expectStatus(await crowd.analyse(unseen(image), "wait=0"), 202);
    return analysisSchema.parse(await response.json()).id;
  };
  const begun = await Promise.all(Array.from({ length: analyses }, begin));
  const before = workerMemory(crowd);
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, workerMemory(crowd));
  }, 1_000);
  const started = performance.now();
  const outcomes = new Map<string, number>();
  await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const path = `/v1/analyses/${begun[i % begun.length]}`;
      const outcome = await crowd
        .fetch(path, { headers: { prefer: "wait=60" } })
        .then(async (response) => `${response.status} ${analysisSchema.parse(await response.json()).status}`)
        .catch((error: unknown) => `dropped (${error instanceof Error ? (error.cause ?? error.message) : error})`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
  );
  clearInterval(watch);
  const list = [...outcomes].map(([outcome, n]) => `${n} × ${outcome}`).join(", ");
  console.log(
    `waiting clients ${clients} at once on ${analyses} analyses: ${list}; ${((performance.now() - started) / 1000).toFixed(0)} s; ` +
      `worker ${before.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at most (load ${load()})`,
  );
}

try {
  console.log(`${availableParallelism()} cores, load ${load()}`);
  if (Number(values.rounds) > 0 || Number(values["runner-rounds"]) > 0) {
    const { runner_secret: secret } = await new StateFolder(join(root, "edge")).secrets(newLocalAccount);
    const runners = values["stand-in"] ? { runners: [await startStandIn(secret, 0)] } : {};
    const edge = await Service.start("edge", runners);
    const megapixel = await photograph(1_155, 866);
    if (Number(values.rounds) > 0) await cachedAnswers(edge, megapixel);
    if (Number(values["runner-rounds"]) > 0) await addedLatency(edge, megapixel);
  }
  if (Number(values.clients) > 0) await waitingClients();
} finally {
  for (const stop of stops) await stop();
}
process.exit();
