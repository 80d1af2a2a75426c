/**
 * Three runners that a test can kill, slow down and upgrade, each at a port of its own. `PUT /{n}` sets how the n-th one
 * behaves (RunnerState); `GET /{n}` answers the ids of the jobs that it was offered.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { inferRequest } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import type { TestProject } from "vitest/node";
import { finding } from "./finding.ts";
import type { RunnerState } from "./runner-state.ts";

declare module "vitest" {
  interface ProvidedContext {
    severalRunners: { control: string; urls: string[] };
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

class KillableRunner {
  port = 0;
  offered: string[] = [];
  #state: RunnerState = { up: true, milliseconds: 0, release: null, slots: Number.POSITIVE_INFINITY };
  #inHand = 0;
  #server = createServer();

  async set(state: RunnerState): Promise<void> {
    const was = this.#state.up && this.port !== 0;
    this.#state = state;
    if (was === state.up) return;
    if (state.up) {
      this.#server = createServer((request, response) => {
        this.#handle(request, response).catch(() => response.destroy());
      });
      this.port = await listen(this.#server, this.port);
    } else {
      const closed = new Promise((resolve) => this.#server.close(resolve));
      // As a process that is killed: whatever it was answering breaks off.
      this.#server.closeAllConnections();
      await closed;
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === "GET") {
      response.end("{}");
      return;
    }
    const job = inferRequest.parse(JSON.parse(await readText(request)));
    this.offered.push(job.job_id);
    const { milliseconds, release, slots } = this.#state;
    const refused =
      release !== null && release !== job.release ? "release_mismatch" : this.#inHand >= slots ? "runner_busy" : null;
    if (refused !== null) {
      const problem = new Problem(refused, "as the test wants it").document();
      response.writeHead(problem.status, { "retry-after": "0.1" }).end(JSON.stringify(problem));
      return;
    }
    this.#inHand++;
    try {
      const line = (value: unknown) => response.write(`${JSON.stringify(value)}\n`);
      response.writeHead(200);
      line({ type: "stage", stage: "inference", progress: null });
      await sleep(milliseconds);
      const stored = { bytes: 1, sha256: "0".repeat(64), content_type: "image/png" };
      const files = Object.fromEntries(Object.keys(job.outputs).map((name) => [name, stored]));
      line({ type: "result", finding: finding(job), files });
      response.end();
    } finally {
      this.#inHand--;
    }
  }
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const runners = [new KillableRunner(), new KillableRunner(), new KillableRunner()];
  const usual: RunnerState = { up: true, milliseconds: 0, release: null, slots: 1_000 };
  for (const runner of runners) await runner.set(usual);
  const control = createServer(async (request, response) => {
    const runner = runners[Number(request.url?.slice(1))];
    if (request.method === "PUT") {
      const state: RunnerState = JSON.parse(await readText(request));
      await runner?.set(state);
      if (runner) runner.offered = [];
    }
    response.end(JSON.stringify(runner?.offered ?? []));
  });
  const port = await listen(control);
  provide("severalRunners", {
    control: `http://127.0.0.1:${port}`,
    urls: runners.map((runner) => `http://127.0.0.1:${runner.port}`),
  });
  return async () => {
    for (const runner of runners) await runner.set({ ...usual, up: false });
    control.close();
    control.closeAllConnections();
  };
}
