/** What was accepted ends well, whatever happens to the processes; and when the stack ends, nothing is left. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../infra/local/ports.ts";
import { residentMemoryOf } from "../bench/runner/processes.ts";
import { alive, LocalService, temporaryState } from "./local-service.ts";
import { photograph } from "./pictures.ts";

let service: LocalService;
let state: Awaited<ReturnType<typeof temporaryState>>;
let port: number;

beforeAll(async () => {
  state = await temporaryState();
  port = await freePort();
  service = await LocalService.start(state.path, port);
});
afterAll(async () => {
  await service.interrupt();
  await state[Symbol.asyncDispose]();
});

/** The id of an analysis, large enough to take some seconds, that has reached the model. */
async function analysisUnderWay(): Promise<string> {
  const { analyses } = service.client;
  const { id } = await analyses.create({ image: await photograph(1500, 1100), wait: 0 });
  for (;;) {
    const { status, stage } = await analyses.retrieve(id);
    if (stage === "inference") return id;
    if (status !== "queued" && status !== "running") throw new Error(`it was ${status} before it could be disturbed`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function inferenceProcess(): number {
  const found = [...service.processes()].filter(([, command]) => command.includes("inference/child"));
  const [pid] = found[0] ?? [];
  if (pid === undefined || found.length !== 1) throw new Error(`${found.length} inference processes`);
  return pid;
}

it("an analysis whose inference process is killed succeeds on the next attempt", async () => {
  const id = await analysisUnderWay();
  const victim = inferenceProcess();
  process.kill(victim, "SIGKILL");
  const analysis = await service.client.analyses.wait(id, { timeout: 100 });
  expect(analysis).toMatchObject({ status: "succeeded", error: null, cached: false });
  expect(analysis.attempts).toBeGreaterThan(1);
  expect(inferenceProcess()).not.toBe(victim);
});

it("requests leave nothing behind in the memory of the Workers runtime", async () => {
  const send = async (requests: number) => {
    let sent = 0;
    const client = async () => {
      while (sent++ < requests) expect((await service.fetch("/healthz")).status).toBe(200);
    };
    await Promise.all(Array.from({ length: 8 }, client));
  };
  const memory = () => {
    const runtimes = [...service.processes()].filter(([, command]) => command.includes("workerd serve"));
    expect(runtimes).toHaveLength(2);
    return runtimes.reduce((sum, [pid]) => sum + residentMemoryOf(pid), 0) / 2 ** 20;
  };
  await send(500);
  const before = memory();
  await send(1_000);
  // Where what a request had is kept until the heap is full, they are a hundred.
  expect(memory() - before).toBeLessThan(50);
}, 300_000);

it("a second start is refused in one line: the port is in use, or the folder", async () => {
  const onSamePort = await LocalService.refused(`${state.path}/other`, port);
  expect(onSamePort.code).toBe(1);
  expect(own(onSamePort.stderr)).toEqual([expect.stringContaining(`port ${port} is in use`)]);
  const inSameFolder = await LocalService.refused(state.path, await freePort());
  expect(inSameFolder.code).toBe(1);
  expect(own(inSameFolder.stderr)).toEqual([expect.stringContaining(`${state.path} is in use by process`)]);
  const nowhere = await LocalService.refused(`${state.path}/other`, "eighty");
  expect(own(nowhere.stderr)).toEqual([expect.stringContaining("PORT must be a number")]);
  expect((await service.fetch("/readyz")).status).toBe(200);
});

/** Lines that are not npm's. */
function own(stderr: string): string[] {
  return stderr.split("\n").filter((line) => line !== "" && !line.startsWith("npm "));
}

it("Ctrl-C in the middle of an analysis leaves no process; after the next start it succeeds, under the same key", async () => {
  const before = await service.client.analyses.list({ limit: 1 });
  const id = await analysisUnderWay();
  const processes = service.processes();
  // npm's shell, the starter, the runner with its child, wrangler with its workers.
  expect(processes.size).toBeGreaterThan(4);
  await service.interrupt();
  expect(alive(processes.keys())).toEqual([]);

  const { apiKey } = service;
  service = await LocalService.start(state.path, port);
  expect(service.apiKey).toBe(apiKey);
  const analysis = await service.client.analyses.wait(id, { timeout: 100 });
  expect(analysis).toMatchObject({ id, status: "succeeded", error: null });
  expect((await fetch(analysis.files.probability?.url ?? "about:blank")).status).toBe(200);
  const earlier = before.data[0]?.id ?? "";
  expect(await service.client.analyses.retrieve(earlier)).toMatchObject({ status: "succeeded" });
});
