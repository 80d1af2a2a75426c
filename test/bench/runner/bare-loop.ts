/**
 * What the runner is measured against: a loop over the ONNX session in one process, one image after the other, with the
 * same decoder, tiles, blending, regions and encoder, and nothing around it.
 *
 *   node test/bench/runner/bare-loop.ts IMAGE…
 *
 * Says `ready`; every line on standard input then makes it go through the images once, and say how long that took in
 * milliseconds.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { readConfiguration } from "../../../gpu-runner/configuration.ts";
import { analyse } from "../../../gpu-runner/inference/analyse.ts";
import { Batcher } from "../../../gpu-runner/inference/batcher.ts";
import { loadSession } from "../../../gpu-runner/inference/session.ts";
import { loadRelease } from "../../../gpu-runner/release.ts";
import { benchJob } from "./job.ts";

const configuration = readConfiguration({ ...process.env, RUNNER_SECRET: "nothing is signed here" });
const { manifest, modelFile } = await loadRelease(configuration.MODEL_DIR);
const session = await loadSession(modelFile, configuration.PROVIDER, { threads: configuration.THREADS });
const served = {
  manifest,
  batcher: new Batcher([session], configuration.MAX_BATCH),
  interpreter: null,
  maxPixels: configuration.MAX_PIXELS,
  trustAnchors: null,
};
const files = process.argv.slice(2).map((file) => readFileSync(file));

async function once(): Promise<number> {
  const start = performance.now();
  for (const bytes of files) {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await analyse({ ...benchJob, bytes, sha256 }, served, new AbortController().signal, () => undefined);
  }
  return performance.now() - start;
}

await once();
process.stdout.write("ready\n");
for await (const _ of createInterface(process.stdin)) process.stdout.write(`${await once()}\n`);
