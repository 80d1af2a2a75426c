/**
 * The servers that are compared, each behind the same three things: start, analyse one image, stop. All are sent a job:
 * where the image lies in storage, its digest, and where map and mask go.
 */
import { createHash, randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Caller, secret } from "../../../gpu-runner/testing/caller.ts";
import type { LocalStorage } from "../../../gpu-runner/testing/storage.ts";
import { freePort } from "../../../infra/local/ports.ts";
import { benchJob, benchOptions } from "../runner/job.ts";
import { Program } from "../runner/processes.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** A server that is not running yet. */
export interface Entrant {
  readonly name: string;
  start(): Promise<Contender>;
}

export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly program: Program;
  /**
   * The probability map as a PNG file; null where the server refuses the image for now.
   *
   * @throws where it does not answer within `patience` milliseconds.
   */
  analyse(image: Buffer, patience: number): Promise<Uint8Array | null>;
}

const runnerName = "Omni-IML runner";
const readyLine = z.object({ msg: z.literal("ready"), port: z.int(), release: z.string() });

/** A job's map out of storage, where nothing of the job stays. */
function taken(storage: LocalStorage, job: string): Uint8Array | null {
  const map = storage.objects.get(`/${job}/probability`) ?? null;
  for (const name of ["input", ...benchJob.outputs]) storage.objects.delete(`/${job}/${name}`);
  return map;
}

/** Ours. Its requests are signed besides. */
async function startRunner(storage: LocalStorage): Promise<Contender> {
  const program = new Program(process.execPath, [`${repository}gpu-runner/main.ts`], {
    PORT: "0",
    RUNNER_SECRET: secret,
    LOG_LEVEL: "info",
  });
  const { port, release } = await program.lineWith((line) => readyLine.safeParse(JSON.parse(line)).data ?? null);
  const caller = new Caller(port, release, storage);
  return {
    name: runnerName,
    program,
    async analyse(image, patience) {
      const { job, result, problem } = await caller.analyse(image, {
        outputs: benchJob.outputs,
        options: benchOptions,
        deadline: Date.now() + patience,
        signal: AbortSignal.timeout(patience),
      });
      if (result === null && problem?.code !== "runner_busy") throw new Error(problem?.detail ?? "no answer");
      return taken(storage, job);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

interface PythonServer {
  readonly name: string;
  readonly program: string;
  readonly parameters: readonly string[];
  /** A path that answers once the model is loaded. */
  readonly health: string;
}

const pythonServers: readonly PythonServer[] = [
  { name: "FastAPI", program: "python", parameters: ["serve_fastapi.py"], health: "/openapi.json" },
  { name: "LitServe", program: "python", parameters: ["serve_litserve.py"], health: "/health" },
  {
    name: "BentoML",
    program: "bentoml",
    parameters: ["serve", "serve_bentoml:Analyse", "--host", "127.0.0.1", "--port"],
    health: "/readyz",
  },
];

/** @param bin folder of the Python environment's programs. */
async function startPython(
  server: PythonServer,
  storage: LocalStorage,
  bin: string,
  threads: number,
): Promise<Contender> {
  const port = await freePort();
  const parameters = server.program === "python" ? server.parameters : [...server.parameters, String(port)];
  const program = new Program(
    `${bin}/${server.program}`,
    parameters,
    {
      BENCH_PORT: String(port),
      BENCH_RELEASE: `${repository}model/release`,
      BENCH_THREADS: String(threads),
      PYTHONPATH: folder,
      PATH: `${bin}:${process.env["PATH"]}`,
      // None of them is to tell its makers about the run.
      BENTOML_DO_NOT_TRACK: "True",
    },
    folder,
  );
  program.process.stdout?.resume();
  const base = `http://127.0.0.1:${port}`;
  for (const end = Date.now() + 180_000; ; ) {
    const response = await fetch(`${base}${server.health}`).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) break;
    if (Date.now() > end || program.process.exitCode !== null) throw new Error(`${server.name} does not start`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return {
    name: server.name,
    program,
    async analyse(image, patience) {
      const job = randomUUID();
      storage.objects.set(`/${job}/input`, image);
      const response = await fetch(`${base}/analyse`, {
        method: "POST",
        body: JSON.stringify({
          input_url: storage.url(`/${job}/input`),
          sha256: createHash("sha256").update(image).digest("hex"),
          outputs: Object.fromEntries(benchJob.outputs.map((name) => [name, storage.url(`/${job}/${name}`)])),
        }),
        headers: { "content-type": "application/json" },
        signal: AbortSignal.timeout(patience),
      });
      const text = await response.text();
      const map = taken(storage, job);
      if (response.status === 429 || response.status === 503) return null;
      if (!response.ok) throw new Error(`${server.name} answered ${response.status}: ${text}`);
      return map;
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

export function runnerOf(storage: LocalStorage): Entrant {
  return { name: runnerName, start: () => startRunner(storage) };
}

/** @param names of those wanted, as in the figures. */
export function othersOf(names: readonly string[], storage: LocalStorage, bin: string, threads: number): Entrant[] {
  return names.map((name) => {
    const server = pythonServers.find((known) => known.name === name);
    if (server === undefined) throw new Error(`there is no server "${name}"`);
    return { name, start: () => startPython(server, storage, bin, threads) };
  });
}
