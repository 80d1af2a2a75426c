/**
 * The inference process: model session, decoding, tiles, blending and encoding. Started by process.ts with a channel
 * over which it is told what to do; it ends with that channel.
 */
import { Problem } from "@omni-iml/shared/problems";
import sharp from "sharp";
import { unknownFeatures } from "../result/score.ts";
import { analyse, type Served } from "./analyse.ts";
import { Batcher } from "./batcher.ts";
import { type AnalyseCommand, command, type LoadCommand, type Report } from "./protocol.ts";
import { gateDecides, loadSession } from "./session.ts";

const jobs = new Map<number, AbortController>();
let served: Served | null = null;

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

async function load(order: LoadCommand): Promise<void> {
  const { manifest } = order;
  const unknown = unknownFeatures(manifest.score);
  if (unknown.length > 0) throw new Error(`the manifest scores by unknown features: ${unknown.join(", ")}`);
  sharp.concurrency(order.threads);
  // The cache would only keep images that nobody asks for again.
  sharp.cache(false);
  const session = await loadSession(order.modelFile, order.provider, order.threads);
  const side = manifest.pipeline.tile;
  const warmUp = {
    count: 1,
    height: side,
    width: side,
    pixels: new Uint8Array(side * side * 3).fill(127),
    qtable: new Int32Array(64).fill(1),
    jpeg: Uint8Array.of(0),
    modalityOverride: Int8Array.of(gateDecides),
  };
  const { domain } = await session.run(warmUp);
  const sum = domain.reduce((total, probability) => total + probability, 0);
  if (!(Math.abs(sum - 1) < 1e-3)) throw new Error(`the model's domain probabilities sum to ${sum}`);
  served = { manifest, batcher: new Batcher(session, order.largestBatch), maxPixels: order.maxPixels };
  tell({ type: "ready" });
}

async function run(order: AnalyseCommand): Promise<void> {
  const { job } = order;
  if (served === null) throw new Error("an analysis was ordered before the model was loaded");
  const withdrawal = new AbortController();
  jobs.set(job, withdrawal);
  try {
    const { finding, files } = await analyse(order, served, withdrawal.signal, (stage, progress) =>
      tell({ type: "stage", job, stage, progress }),
    );
    tell({ type: "done", job, finding, files });
  } catch (error) {
    if (withdrawal.signal.aborted) return tell({ type: "dropped", job });
    const problem =
      error instanceof Problem
        ? error
        : new Problem("internal_error", "The analysis failed inside the runner.", { cause: error });
    const cause = error instanceof Problem ? error.cause : error;
    tell({
      type: "failed",
      job,
      code: problem.code,
      detail: problem.message,
      cause: cause instanceof Error ? (cause.stack ?? cause.message) : "",
    });
  } finally {
    jobs.delete(job);
  }
}

process.on("message", (message) => {
  const order = command.parse(message);
  if (order.type === "load") {
    load(order).catch((error: unknown) =>
      tell({ type: "unusable", reason: error instanceof Error ? error.message : String(error) }),
    );
  } else if (order.type === "analyse") {
    void run(order);
  } else {
    jobs.get(order.job)?.abort();
  }
});
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the HTTP process decides when this one ends.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
