/**
 * Analyses image files without a server, exactly as the runner does: one JSON line a file, and with `--out DIR` its
 * probability map, mask and overlay. Without names of files it reads them from its standard input, one a line: with more
 * than 28 kB of names in its command line onnxruntime 1.x crashes.
 *
 *   node gpu-runner/inference/run-once.ts [--model-dir DIR] [--out DIR] [IMAGE…]
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { messageOf } from "@omni-iml/shared/message-of";
import { readConfiguration } from "../configuration.ts";
import { loadTrustAnchors } from "../evidence/provenance/trust-anchors.ts";
import { mostInterpreted } from "../interpretation/interpret.ts";
import { loadInterpreter } from "../interpretation/session.ts";
import { loadRelease } from "../release.ts";
import { analyse } from "./analyse.ts";
import { Batcher } from "./batcher.ts";
import { loadSession } from "./session.ts";

const { values, positionals } = parseArgs({
  options: { "model-dir": { type: "string" }, out: { type: "string" } },
  allowPositionals: true,
});
const configuration = readConfiguration({ ...process.env, RUNNER_SECRET: "nothing is signed here" });
const { manifest, modelFile, interpretationFile } = await loadRelease(values["model-dir"] ?? configuration.MODEL_DIR);
const session = await loadSession(modelFile, configuration.PROVIDER, { threads: configuration.THREADS });
const { THREADS: threads, PROVIDER: provider } = configuration;
const served = {
  manifest,
  interpreter:
    interpretationFile === null
      ? null
      : await loadInterpreter(interpretationFile, provider, { threads, mostTogether: mostInterpreted }),
  batcher: new Batcher([session], configuration.MAX_BATCH),
  maxPixels: configuration.MAX_PIXELS,
  trustAnchors: await loadTrustAnchors(configuration.C2PA_TRUST_ANCHORS),
};
const outputs = values.out === undefined ? [] : (["probability", "mask", "overlay"] as const);
if (values.out !== undefined) mkdirSync(values.out, { recursive: true });

const images = positionals.length > 0 ? positionals : readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const file of images) {
  const bytes = readFileSync(file);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const pictures = { report: false, prompt: false };
  const job = { bytes, sha256, outputs: [...outputs], pictures, options: analysisOptions.parse({}) };
  try {
    const { finding, files } = await analyse(job, served, new AbortController().signal, () => undefined);
    process.stdout.write(`${JSON.stringify({ file, ...finding })}\n`);
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(values.out ?? ".", `${basename(file)}.${name}.png`), content);
    }
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ file, error: messageOf(error) })}\n`);
    process.exitCode = 1;
  }
}
