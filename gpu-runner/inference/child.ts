/**
 * The inference process: model sessions and images on threads of their own, and a main thread that hands tiles from the
 * ones to the others. Started by process.ts with a channel over which it is told what to do; it ends with that channel.
 */
import { setFlagsFromString } from "node:v8";
import { messageOf } from "@omni-iml/shared/message-of";
import sharp from "sharp";
import { mostInterpreted } from "../interpretation/interpret.ts";
import { loadInterpreter } from "../interpretation/session.ts";
import { unknownFeatures } from "../result/score.ts";
import { Batcher, byCompany, type SharedSessions } from "./batcher.ts";
import { ImageThreads } from "./image-threads.ts";
import { command, type LoadCommand, type Report } from "./protocol.ts";
import { RemoteSession } from "./remote-session.ts";
import { proveDevice } from "./self-test.ts";
import { gateDecides, type Session } from "./session.ts";
import { sidesOfSeveral } from "./tiler.ts";

// Pixels lie outside of V8's heap, but count: with small heaps, as the threads' are, a few images make up a whole collection,
// and those took 4 % of the time. Heaps may grow by so many megabytes first.
setFlagsFromString("--initial-old-space-size=64");

/** Side of the largest square that is a small tile. */
const smallSide = 512;

let threads: ImageThreads | null = null;

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

/**
 * Ends the process at once. An exit waits for the threads, and in one whose session runs the binding then throws where
 * nobody can catch it: what was to be an exit is an abort, and looks like a crash of onnxruntime's.
 */
function end(): void {
  process.kill(process.pid, "SIGKILL");
}

/** Whoever started the process answers for its jobs and starts it again. */
function fail(reason: Error): void {
  process.stderr.write(`inference process: ${reason.stack ?? reason.message}\n`);
  end();
}

async function load(order: LoadCommand): Promise<void> {
  const { manifest, provider } = order;
  const unknown = unknownFeatures(manifest.score);
  if (unknown.length > 0) throw new Error(`the manifest scores by unknown features: ${unknown.join(", ")}`);
  sharp.concurrency(order.threads);
  // The cache would only keep images that nobody asks for again.
  sharp.cache(false);
  const batcher = await openSessions(order);
  const interpreter =
    order.interpretationFile === null
      ? null
      : await loadInterpreter(order.interpretationFile, provider, {
          threads: order.threads,
          mostTogether: mostInterpreted,
        });
  const data = { manifest, maxPixels: order.maxPixels, trustAnchors: order.trustAnchors };
  threads = await ImageThreads.start(order.imageThreads, data, { batcher, interpreter }, { tell, broken: fail });
  tell({ type: "ready" });
}

/**
 * Proved and warmed: one session with all threads, and beside it a few with a share of them each. Two tiles side by side, each
 * on one of two cores, take less time than one after the other on both. Only an image that is there alone has all cores, for
 * its large tiles and for what runs beside its small one: nobody else wants them.
 */
async function openSessions(order: LoadCommand): Promise<SharedSessions> {
  const { modelFile, provider, deviceMemory, smallSessions } = order;
  const usualSides = sidesOfSeveral(order.manifest.pipeline);
  const open = async (threads: number) => {
    const data = { modelFile, provider, resources: { threads, deviceMemory, usualSides } };
    const session = await RemoteSession.start(data, fail);
    if (provider !== "cpu") await proveDevice(modelFile, session, order);
    await warm(session, order);
    return session;
  };
  const batcherOf = (sessions: readonly Session[]) =>
    new Batcher(sessions, order.largestBatch, {
      ran: (facts) => tell({ type: "batch", ...facts }),
      shrunk: (largest) => tell({ type: "shrunk", largest }),
    });
  const whole = batcherOf([await open(order.threads)]);
  if (smallSessions === 0) return whole;
  const share = Math.max(1, Math.floor(order.threads / smallSessions));
  const sharing: Session[] = [];
  while (sharing.length < smallSessions) sharing.push(await open(share));
  return byCompany(smallSide ** 2, batcherOf(sharing), whole);
}

/**
 * Runs the largest tile in every power of two up to the largest batch, and then on a device one tile of every other shape
 * that large images are cut into: what it chooses, loads or allocates at the first run of a shape, no client waits for. A CPU chooses nothing by shape, and the largest has taken the memory for all.
 */
async function warm(session: Session, { manifest, provider, largestBatch }: LoadCommand): Promise<void> {
  const side = manifest.pipeline.tile;
  for (let count = 1; count < largestBatch; count *= 2) await runBlank(session, count, side, side);
  await runBlank(session, largestBatch, side, side);
  if (provider === "cpu") return;
  const sides = sidesOfSeveral(manifest.pipeline);
  for (const height of sides) for (const width of sides) await runBlank(session, 1, height, width);
}

/** @throws Error where the answer cannot be one. */
async function runBlank(session: Session, count: number, height: number, width: number): Promise<void> {
  const { domain } = await session.run({
    count,
    height,
    width,
    pixels: new Uint8Array(count * height * width * 3).fill(127),
    qtable: new Int32Array(count * 64).fill(1),
    jpeg: new Uint8Array(count),
    modalityOverride: new Int8Array(count).fill(gateDecides),
  });
  const sum = domain.reduce((total, probability) => total + probability, 0) / count;
  if (!(Math.abs(sum - 1) < 1e-3)) throw new Error(`the model's domain probabilities sum to ${sum}`);
}

process.on("message", (message) => {
  const order = command.parse(message);
  if (order.type === "load") {
    load(order).catch((error: unknown) => tell({ type: "unusable", reason: messageOf(error) }));
  } else if (threads === null) {
    fail(new Error("a job was ordered before the model was loaded"));
  } else if (order.type === "analyse") {
    threads.analyse(order);
  } else {
    threads.drop(order.job);
  }
});
process.on("disconnect", end);
// Ctrl-C reaches the whole process group; the HTTP process decides when this one ends.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
