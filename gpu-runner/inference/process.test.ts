/** The hold on the inference process, with a process in its place that does what a test wants (testing/inference-process.ts). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { Problem } from "@omni-iml/shared/problems";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { loadRelease } from "../release.ts";
import { InferenceProcess } from "./process.ts";

const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const program = new URL("../testing/inference-process.ts", import.meta.url);
let folder: string;
let inference: InferenceProcess;
/** Milliseconds until each of the next starts. */
let waits: number[];
let crashes: number;

const starts = (fate: "well" | "dies" | "refuses") => writeFileSync(join(folder, "model"), fate);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "omni-iml-process-"));
  starts("well");
  [waits, crashes] = [[], 0];
  const log = pino({
    hooks: {
      logMethod([facts]) {
        if (typeof facts === "object" && facts !== null && "wait" in facts) waits.push(Number(facts.wait));
      },
    },
  });
  const events = { crashed: () => crashes++, ready: () => undefined, batch: () => undefined };
  inference = new InferenceProcess(
    {
      modelFile: join(folder, "model"),
      interpretationFile: null,
      manifest,
      provider: "cpu",
      threads: 1,
      smallSessions: 0,
      imageThreads: 2,
      deviceMemory: null,
      maxPixels: 1e6,
      largestBatch: 1,
      trustAnchors: null,
    },
    log,
    events,
    program,
  );
});
afterEach(async () => {
  vi.useRealTimers();
  await inference.stop();
  rmSync(folder, { recursive: true });
});

/** How a job of that name ends: "done", or the problem's code. */
async function analyse(sha256: string, signal = new AbortController().signal): Promise<string> {
  const order = {
    account: null,
    pixels: 1e4,
    bytes: new Uint8Array(1),
    sha256,
    outputs: [],
    pictures: { report: false, prompt: false },
    options: analysisOptions.parse({}),
  };
  try {
    await inference.analyse(order, { signal, onStage: () => undefined });
    return "done";
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
}

it("a death is answered for the jobs in hand alone; those that wait are done by the next process", async () => {
  await inference.start();
  const hanging = analyse("hangs");
  const dying = analyse("dies");
  const waiting = [analyse("fine"), analyse("good")];
  expect(await Promise.all([hanging, dying, ...waiting])).toEqual([
    "inference_crashed",
    "inference_crashed",
    "done",
    "done",
  ]);
  expect([crashes, waits]).toEqual([1, [250]]);
});

it("what is withdrawn while it waits never reaches the process", async () => {
  await inference.start();
  const hand = [analyse("hangs"), analyse("hangs too")];
  const withdrawal = new AbortController();
  // Were it begun, the process would end.
  const waiting = analyse("dies", withdrawal.signal);
  expect([inference.running, inference.waiting, inference.waitingPixels]).toEqual([2, 1, 1e4]);
  withdrawal.abort(new Problem("deadline_exceeded", "It is too late."));
  expect(await waiting).toBe("deadline_exceeded");
  expect([inference.running, inference.waiting, inference.waitingPixels]).toEqual([2, 0, 0]);
  await inference.stop();
  expect(await Promise.all(hand)).toEqual(["inference_crashed", "inference_crashed"]);
  expect(crashes).toBe(0);
});

it("starts that fail follow one another slower and slower; after three, jobs are given back, until it is warm again", async () => {
  await inference.start();
  starts("dies");
  const dying = analyse("dies");
  const waiting = [analyse("hangs"), analyse("fine")];
  expect(await dying).toBe("inference_crashed");
  expect([inference.ready, inference.failing]).toEqual([false, false]);
  // One was in hand, one waited: another runner can have it.
  expect(await Promise.all(waiting)).toEqual(["inference_crashed", "runner_unavailable"]);
  expect([inference.ready, inference.failing]).toEqual([false, true]);
  expect(waits).toEqual([250, 500, 1000]);
  starts("well");
  await expect.poll(() => inference.ready, { timeout: 30_000 }).toBe(true);
  expect(inference.failing).toBe(false);
  expect(await analyse("fine")).toBe("done");
  // What has been analysed since then is where counting begins anew.
  const after = waits.length;
  expect(await analyse("dies")).toBe("inference_crashed");
  expect(waits.slice(after)).toEqual([250]);
});

it("a job that is withdrawn and not given up costs the process after a minute, and is the only one suspected", async () => {
  await inference.start();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const withdrawal = new AbortController();
  const gone = analyse("hangs", withdrawal.signal);
  const beside = analyse("hangs too");
  withdrawal.abort(new Error("nobody waits any more"));
  expect(await gone).toBe("Error: nobody waits any more");
  const { pid } = inference;
  vi.advanceTimersByTime(59_000);
  expect(inference.pid).toBe(pid);
  vi.advanceTimersByTime(2_000);
  expect(await beside).toBe("inference_crashed");
  vi.advanceTimersByTime(1_000);
  vi.useRealTimers();
  await expect.poll(() => inference.ready, { timeout: 30_000 }).toBe(true);
  expect(inference.pid).not.toBe(pid);
  // Who is suspected runs alone.
  const again = [analyse("hangs too"), analyse("hangs as well"), analyse("hangs")];
  expect([inference.running, inference.waiting]).toEqual([2, 1]);
  await inference.stop();
  expect(await Promise.all(again.slice(0, 2))).toEqual(["inference_crashed", "inference_crashed"]);
});

it("a process that cannot serve ends the start with its reason, and is not started again", async () => {
  starts("refuses");
  await expect(inference.start()).rejects.toThrow("the device computes something else");
  await expect.poll(() => inference.pid).toBeUndefined();
  expect(waits).toEqual([]);
});

it("a process that dies before it was ever ready is tried three times", async () => {
  starts("dies");
  await expect(inference.start()).rejects.toThrow("the inference process ends before it is ready (exit code 7)");
  expect([crashes, waits.length]).toEqual([3, 3]);
  expect(inference.pid).toBeUndefined();
});
