/**
 * The runner over HTTP against a bare loop over the session: what signature, admission, storage, processes and threads
 * cost.
 *
 *   npm run bench:runner [-- --rounds 5] [--clients 4] [--repeat 2] [IMAGE…]
 *
 * In turns (A B B A), on the same images, in one run. Prints images a second and processor seconds an image of both, and
 * their ratios with 95 % intervals over the rounds. On a machine that does other things as well the second ratio is the
 * steadier one.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { Caller, secret } from "../../../gpu-runner/testing/caller.ts";
import { LocalStorage } from "../../../gpu-runner/testing/storage.ts";
import { inTurns, inWords, ratioOf } from "../ratio.ts";
import { benchJob, benchOptions } from "./job.ts";
import { Program } from "./processes.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const { values, positionals } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    clients: { type: "string", default: "4" },
    repeat: { type: "string", default: "2" },
  },
  allowPositionals: true,
});
const samples = ["balloon-authentic", "balloon-forged", "receipt-authentic", "receipt-forged"];
const once = positionals.length > 0 ? positionals : samples.map((name) => `${repository}test/samples/${name}.jpg`);
const files = Array.from({ length: Number(values.repeat) }, () => once).flat();

const readyLine = z.object({ msg: z.literal("ready"), port: z.int(), release: z.string() });
await using storage = await LocalStorage.start();
await using runner = new Program(process.execPath, [`${repository}gpu-runner/main.ts`], {
  PORT: "0",
  RUNNER_SECRET: secret,
});
const { port, release } = await runner.lineWith((line) => readyLine.safeParse(JSON.parse(line)).data ?? null);
const caller = new Caller(port, release, storage);
await using loop = new Program(process.execPath, [`${repository}test/bench/runner/bare-loop.ts`, ...files]);
await loop.lineWith((line) => (line === "ready" ? line : null));

const images = files.map((file) => readFileSync(file));

/** Milliseconds in which all images went through the runner, some at a time. */
async function overHttp(): Promise<number> {
  const start = performance.now();
  const left = [...images];
  const client = async () => {
    for (let image = left.pop(); image !== undefined; image = left.pop()) {
      const { outputs } = benchJob;
      const { result, problem } = await caller.analyse(image, {
        outputs,
        options: benchOptions,
        deadline: Date.now() + 600_000,
      });
      if (result === null) throw new Error(`the runner refused an image: ${problem?.code} ${problem?.detail}`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.clients) }, client));
  return performance.now() - start;
}

async function inLoop(): Promise<number> {
  loop.process.stdin?.write("once\n");
  return loop.lineWith((line) => Number(line));
}

const contenders = [
  { name: "runner", program: runner, run: overHttp },
  { name: "loop", program: loop, run: inLoop },
] as const;
const speed = { runner: [] as number[], loop: [] as number[] };
const thrift = { runner: [] as number[], loop: [] as number[] };

await overHttp();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { name, program, run } of inTurns(contenders, round)) {
    const before = program.processorSeconds;
    const took = await run();
    speed[name].push((1000 * images.length) / took);
    thrift[name].push(images.length / (program.processorSeconds - before));
  }
  const last = (list: readonly number[]) => list.at(-1)?.toFixed(3);
  process.stdout.write(
    `round ${round + 1}: images/s ${last(speed.runner)} (runner) ${last(speed.loop)} (loop); ` +
      `images per processor second ${last(thrift.runner)} ${last(thrift.loop)}\n`,
  );
}
process.stdout.write(
  `runner / bare loop, ${images.length} images a round, ${values.clients} clients, ${values.rounds} rounds:\n` +
    `  images a second            ${inWords(ratioOf(speed.runner, speed.loop))}\n` +
    `  images a processor second  ${inWords(ratioOf(thrift.runner, thrift.loop))}\n`,
);
