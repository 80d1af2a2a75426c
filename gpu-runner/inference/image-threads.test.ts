/** What the threads' keeper does when the session cannot go on: real threads, a session that has no memory. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { analysisOptions } from "@omni-iml/shared/analysis";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { Batcher, DeviceExhausted } from "./batcher.ts";
import { ImageThreads } from "./image-threads.ts";
import type { Report } from "./protocol.ts";
import type { Session } from "./session.ts";

const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const bytes = readFileSync(new URL("../image/golden/baseline-420.jpg", import.meta.url));

function order(job: number) {
  const options = analysisOptions.parse({});
  const pictures = { report: false, prompt: false };
  return { type: "analyse" as const, job, bytes, sha256: "0".repeat(64), outputs: [], pictures, options };
}

/** Threads beside a session; what they told, and why the process would have ended. */
async function threadsWith(session: Session) {
  const told: Report[] = [];
  const broken = Promise.withResolvers<Error>();
  const threads = await ImageThreads.start(
    1,
    { manifest, maxPixels: 1e6, trustAnchors: null },
    { batcher: new Batcher([session], 1), interpreter: null },
    { tell: (report) => told.push(report), broken: broken.resolve },
  );
  return { threads, told, broken: broken.promise };
}

it("a device without memory for one tile ends the process, which is started anew with all of it", async () => {
  const run = () => Promise.reject(new Error("Failed to allocate memory for requested buffer of size 301989888"));
  const { threads, broken } = await threadsWith({ run });
  threads.analyse(order(1));
  expect(await broken).toBeInstanceOf(DeviceExhausted);
});

it("any other failure of the session is the job's own, and the thread takes the next one", async () => {
  const run = () => Promise.reject(new Error("Non-zero status code returned while running Conv node"));
  const { threads, told } = await threadsWith({ run });
  for (const job of [1, 2]) {
    threads.analyse(order(job));
    await expect
      .poll(() => told.filter(({ type }) => type === "failed"), { timeout: 30_000 })
      .toContainEqual(expect.objectContaining({ job, code: "internal_error" }));
  }
});

it("a job that is dropped is given up, its tiles unrun", async () => {
  let runs = 0;
  const { threads, told } = await threadsWith({
    run: () => {
      runs++;
      return Promise.reject(new Error("it ran"));
    },
  });
  threads.analyse(order(1));
  threads.drop(1);
  await expect.poll(() => told.at(-1), { timeout: 30_000 }).toEqual({ type: "dropped", job: 1 });
  expect(runs).toBe(0);
});
