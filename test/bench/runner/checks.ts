/**
 * What the checks besides the network, and reading text, add to the processor time of an analysis.
 *
 *   npm run bench:checks [-- --rounds 8] [IMAGE…]
 *
 * The same images through `analyse()` in one process, with the released models: with everything, without text, with
 * neither, in turns (A B C C B A). A check that costs more than it may is seen in the ratios, whatever else the machine
 * does.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { readConfiguration } from "../../../gpu-runner/configuration.ts";
import { analyse, type Served } from "../../../gpu-runner/inference/analyse.ts";
import { Batcher } from "../../../gpu-runner/inference/batcher.ts";
import { loadSession } from "../../../gpu-runner/inference/session.ts";
import { loadRelease } from "../../../gpu-runner/release.ts";
import { inTurns, inWords, ratioOf } from "../ratio.ts";

const samples = fileURLToPath(new URL("../../samples/", import.meta.url));
const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "8" } },
  allowPositionals: true,
});
const files =
  positionals.length > 0
    ? positionals
    : ["kitten-forged", "balloon-authentic", "receipt-forged", "label-forged"].map((name) => `${samples}${name}.jpg`);

const {
  MODEL_DIR,
  MAX_PIXELS: maxPixels,
  THREADS: threads,
} = readConfiguration({ RUNNER_SECRET: "nothing is signed" });
const { manifest, modelFile } = await loadRelease(MODEL_DIR);
const batcher = new Batcher([await loadSession(modelFile, "cpu", { threads })], 1);
const served: Served = { manifest, batcher, interpreter: null, maxPixels, trustAnchors: null };

const ways = [
  { name: "all", options: analysisOptions.parse({}) },
  { name: "checks", options: analysisOptions.parse({ interpretation: "none" }) },
  { name: "neither", options: analysisOptions.parse({ interpretation: "none", evidence: false }) },
] as const;

/** Seconds of processor time. */
async function costOf(bytes: Uint8Array, { options }: (typeof ways)[number]): Promise<number> {
  const job = {
    bytes,
    sha256: "0".repeat(64),
    outputs: ["probability", "mask", "overlay"] as const,
    pictures: { report: false, prompt: false },
    options,
  };
  const before = process.cpuUsage();
  await analyse({ ...job, outputs: [...job.outputs] }, served, new AbortController().signal, () => undefined);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

// A service that runs has its code compiled; what that takes is nobody's.
for (let round = 0; round < 3; round++) {
  for (const file of files) for (const way of ways) await costOf(readFileSync(file), way);
}
for (const file of files) {
  const bytes = readFileSync(file);
  const seconds = { all: [] as number[], checks: [] as number[], neither: [] as number[] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const way of inTurns(ways, round)) seconds[way.name].push(await costOf(bytes, way));
  }
  const mean = (list: readonly number[]) => (list.reduce((a, b) => a + b, 0) / list.length).toFixed(2);
  process.stdout.write(
    `${basename(file)}: ${mean(seconds.neither)} s without checks; with them ${inWords(ratioOf(seconds.checks, seconds.neither))} of that; ` +
      `with text as well ${inWords(ratioOf(seconds.all, seconds.neither))}\n`,
  );
}
