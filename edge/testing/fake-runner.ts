/**
 * A runner that does what a test tells it: an HTTP server beside the Workers runtime, with the real contract.
 *
 * Tests script it per image (by SHA-256): each call takes the next step of the script, the last step is repeated, and
 * without a script every job succeeds. `PUT /script/{sha256}` sets it, `POST /open/{sha256}` lets a held call go on,
 * `GET /calls/{sha256}` answers the requests that came in, `GET /traces/{sha256}` their `traceparent` headers.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type InferRequest, inferRequest } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import { verifySignature } from "@omni-iml/shared/signature";
import type { TestProject } from "vitest/node";
import { finding } from "./finding.ts";
import type { RunnerStep } from "./runner-script.ts";

declare module "vitest" {
  interface ProvidedContext {
    runnerUrl: string;
  }
}

const scripts = new Map<string, RunnerStep[]>();
const calls = new Map<string, InferRequest[]>();
const traces = new Map<string, string[]>();
const gates = new Map<string, PromiseWithResolvers<void>>();

function gate(sha256: string): PromiseWithResolvers<void> {
  const known = gates.get(sha256) ?? Promise.withResolvers<void>();
  gates.set(sha256, known);
  return known;
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

async function infer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readText(request);
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  if (!(await verifySignature("test-secret", { method: "POST", path: "/v1/infer", body }, headers))) {
    respond(response, 401, new Problem("unauthorized", "signature").document());
    return;
  }
  const job = inferRequest.parse(JSON.parse(body));
  calls.set(job.sha256, [...(calls.get(job.sha256) ?? []), job]);
  traces.set(job.sha256, [...(traces.get(job.sha256) ?? []), headers.get("traceparent") ?? ""]);
  const script = scripts.get(job.sha256) ?? [{ kind: "succeed" }];
  const step = script.length > 1 ? script.shift() : script[0];
  if (!step) throw new Error("an empty script");
  if (step.kind === "refuse") {
    respond(response, step.problem.status, step.problem, { "retry-after": String(step.retryAfter ?? 1) });
    return;
  }
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const line = (value: unknown) => response.write(`${JSON.stringify(value)}\n`);
  line({ type: "stage", stage: "decode", progress: null });
  switch (step.kind) {
    case "problem":
      line({ type: "problem", problem: step.problem });
      break;
    case "silent":
      return;
    case "crash":
      response.write('{"type":"sta');
      break;
    case "hold": {
      const alive = setInterval(() => line({ type: "stage", stage: "inference", progress: 0.5 }), 200);
      await Promise.race([gate(job.sha256).promise, once(response, "close")]);
      clearInterval(alive);
    }
  }
  if (step.kind === "succeed" || step.kind === "hold") {
    const stored = { bytes: 1, sha256: "0".repeat(64), content_type: "image/png" };
    const found = { ...finding(job), ...step.finding };
    const failed = found.degraded_checks.map(({ check }) => check);
    const made = Object.keys(job.outputs).filter((name) => !failed.includes(name));
    line({ type: "result", finding: found, files: Object.fromEntries(made.map((name) => [name, stored])) });
  }
  response.end();
}

function respond(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, room, sha256 = ""] = (request.url ?? "").split("/");
  switch (room) {
    case "v1":
      await infer(request, response);
      return;
    case "script":
      scripts.set(sha256, JSON.parse(await readText(request)));
      break;
    case "open":
      gate(sha256).resolve();
      break;
    case "calls":
      respond(response, 200, calls.get(sha256) ?? []);
      return;
    case "traces":
      respond(response, 200, traces.get(sha256) ?? []);
      return;
  }
  respond(response, 200, {});
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  provide("runnerUrl", `http://127.0.0.1:${address.port}`);
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
}
