/** The servers that are compared, each behind the same three things: start, analyse one image, stop. */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Caller, secret } from "../../../gpu-runner/testing/caller.ts";
import type { LocalStorage } from "../../../gpu-runner/testing/storage.ts";
import { freePort } from "../../../infra/local/ports.ts";
import { benchJob, benchOptions } from "../runner/job.ts";
import { Program } from "../runner/processes.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const repository = fileURLToPath(new URL("../../../", import.meta.url));

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

const readyLine = z.object({ msg: z.literal("ready"), port: z.int(), release: z.string() });

/** Ours, with its storage: signed request, presigned download and uploads. */
export async function startRunner(storage: LocalStorage): Promise<Contender> {
  const program = new Program(process.execPath, [`${repository}gpu-runner/main.ts`], {
    PORT: "0",
    RUNNER_SECRET: secret,
    LOG_LEVEL: "info",
  });
  const { port, release } = await program.lineWith((line) => readyLine.safeParse(JSON.parse(line)).data ?? null);
  const caller = new Caller(port, release, storage);
  return {
    name: "Omni-IML runner",
    program,
    async analyse(image, patience) {
      const { job, result, problem } = await caller.analyse(image, {
        outputs: benchJob.outputs,
        options: benchOptions,
        deadline: Date.now() + patience,
        signal: AbortSignal.timeout(patience),
      });
      if (result === null && problem?.code !== "runner_busy") throw new Error(problem?.detail ?? "no answer");
      const map = storage.objects.get(`/${job}/probability`) ?? null;
      for (const name of ["input", "probability", "mask"]) storage.objects.delete(`/${job}/${name}`);
      return map;
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const answer = z.object({ probability: z.string(), mask: z.string() });

interface PythonServer {
  readonly name: string;
  readonly program: string;
  readonly parameters: readonly string[];
  /** A path that answers once the model is loaded. */
  readonly health: string;
  /** How the server is sent an image. */
  body(image: Uint8Array<ArrayBuffer>): {
    readonly body: NonNullable<RequestInit["body"]>;
    readonly type: string | null;
  };
}

const pythonServers: readonly PythonServer[] = [
  {
    name: "FastAPI",
    program: "python",
    parameters: ["serve_fastapi.py"],
    health: "/openapi.json",
    body: (image) => ({ body: image, type: "application/octet-stream" }),
  },
  {
    name: "LitServe",
    program: "python",
    parameters: ["serve_litserve.py"],
    health: "/health",
    body: (image) => ({
      body: JSON.stringify({ image: Buffer.from(image).toString("base64") }),
      type: "application/json",
    }),
  },
  {
    name: "BentoML",
    program: "bentoml",
    parameters: ["serve", "serve_bentoml:Analyse", "--host", "127.0.0.1", "--port"],
    health: "/readyz",
    body: (image) => {
      const form = new FormData();
      form.set("image", new Blob([image], { type: "image/jpeg" }), "image.jpg");
      return { body: form, type: null };
    },
  },
];

/** @param bin folder of the Python environment's programs. */
async function startPython(server: PythonServer, bin: string, threads: number): Promise<Contender> {
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
      const { body, type } = server.body(new Uint8Array(image));
      const response = await fetch(`${base}/analyse`, {
        method: "POST",
        body,
        headers: type === null ? {} : { "content-type": type },
        signal: AbortSignal.timeout(patience),
      });
      if (response.status === 429 || response.status === 503) {
        await response.body?.cancel();
        return null;
      }
      if (!response.ok) throw new Error(`${server.name} answered ${response.status}: ${await response.text()}`);
      return Buffer.from(answer.parse(await response.json()).probability, "base64");
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** @param names of those to start, as in the figures. */
export async function startOthers(names: readonly string[], bin: string, threads: number): Promise<Contender[]> {
  const wanted = names.map((name) => {
    const server = pythonServers.find((known) => known.name === name);
    if (server === undefined) throw new Error(`there is no server "${name}"`);
    return server;
  });
  const started: Contender[] = [];
  for (const server of wanted) started.push(await startPython(server, bin, threads));
  return started;
}
