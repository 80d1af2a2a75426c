/**
 * A runner without a model, as a process that can be killed: the contract of `POST /v1/infer` (signature, admission,
 * NDJSON), and the real runner's own way to and from the storage. It does what `PUT /behaviour` last told it.
 *
 * Environment: PORT, RUNNER_SECRET, SLOTS (jobs at a time; beyond them `runner_busy`), SERVICE_MS (time of a job).
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { OutputName } from "@omni-iml/shared/analysis";
import { type InferLine, type InferRequest, inferRequest, type ResultLine } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import { verifySignature } from "@omni-iml/shared/signature";
import { finding } from "../../edge/testing/finding.ts";
import { download } from "../../gpu-runner/storage/download.ts";
import { upload } from "../../gpu-runner/storage/upload.ts";
import type { RunnerBehaviour } from "./runner-behaviour.ts";
import { corruptMark, describeFile, storedFile } from "./stored-files.ts";

const secret = process.env["RUNNER_SECRET"] ?? "";
const slots = Number(process.env["SLOTS"] ?? 16);
const serviceTime = Number(process.env["SERVICE_MS"] ?? 20);
let behaviour: RunnerBehaviour = { kind: "well", share: 1 };
let running = 0;

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

function refuse(response: ServerResponse, problem: Problem): void {
  const headers = { "content-type": "application/problem+json", "retry-after": String(problem.retryAfter ?? 1) };
  response.writeHead(problem.status, headers).end(JSON.stringify(problem.document()));
}

async function infer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readText(request);
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  if (!(await verifySignature(secret, { method: "POST", path: "/v1/infer", body }, headers))) {
    return refuse(response, new Problem("unauthorized", "The signature is not valid."));
  }
  if (running >= slots) return refuse(response, new Problem("runner_busy", "All slots are taken.", { retryAfter: 1 }));
  const job = inferRequest.parse(JSON.parse(body));
  const disturbed = Math.random() < behaviour.share ? behaviour.kind : "well";
  const over = new AbortController();
  response.once("close", () => over.abort(new Error("the caller hung up")));
  running++;
  try {
    await answer(job, disturbed, response, over.signal);
  } finally {
    running--;
  }
}

async function answer(
  job: InferRequest,
  disturbed: RunnerBehaviour["kind"],
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (disturbed === "fails") {
    response.writeHead(500, { "content-type": "text/html" }).end("<h1>It broke</h1>");
    return;
  }
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const line = (value: InferLine) => response.write(`${JSON.stringify(value)}\n`);
  line({ type: "stage", stage: "download", progress: null });
  if (disturbed === "garbage") {
    response.end(`${Buffer.from(crypto.getRandomValues(new Uint8Array(400))).toString("latin1")}\n`);
    return;
  }
  if (disturbed === "nonsense") {
    response.end(`${JSON.stringify({ type: "result", finding: {}, files: [] })}\n`);
    return;
  }
  // Nothing more, until the caller has had enough.
  if (disturbed === "silent") return sleep(60_000, undefined, { signal }).catch(() => undefined);
  let last: InferLine;
  try {
    last = await work(job, signal);
  } catch (error) {
    if (signal.aborted) return;
    const problem = error instanceof Problem ? error : new Problem("internal_error", String(error));
    last = { type: "problem", problem: problem.document(job.job_id) };
  }
  const text = `${JSON.stringify(last)}\n`;
  if (disturbed === "half") {
    response.write(text.slice(0, text.length / 2), () => response.destroy());
    return;
  }
  if (disturbed === "slow") {
    // In eight pieces over some seconds, lines in between included.
    for (let piece = 0; piece < 7; piece++) {
      line({ type: "stage", stage: "upload", progress: null });
      await sleep(700);
    }
  }
  response.end(text);
}

/** The job as a runner does it, without the model. */
async function work(job: InferRequest, signal: AbortSignal): Promise<ResultLine> {
  const bytes = await download(job.input_url, job, signal);
  if (Buffer.from(bytes).includes(corruptMark)) throw new Problem("image_corrupt", "The image cannot be decoded.");
  await sleep(serviceTime, undefined, { signal });
  const files: ResultLine["files"] = {};
  const store = async ([name, url]: [string, string]) => {
    const output = name as OutputName;
    const content = storedFile(output, job.sha256);
    const described = describeFile(output, content);
    await upload(url, content, described.content_type, signal);
    files[output] = described;
  };
  await Promise.all(Object.entries(job.outputs).map(store));
  return { type: "result", finding: finding(job), files };
}

const server = createServer((request, response) => {
  const handled = async () => {
    if (request.url === "/v1/infer") return infer(request, response);
    if (request.url === "/behaviour") behaviour = JSON.parse(await readText(request));
    response.end("{}");
  };
  handled().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
});
server.listen(Number(process.env["PORT"]), "127.0.0.1");
