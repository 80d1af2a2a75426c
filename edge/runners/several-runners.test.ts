/** One edge, three runners over HTTP: the pool as an object, and the calls that follow its advice. */
import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type AnalysisOptions, analysisOptions } from "@omni-iml/shared/analysis";
import { newId } from "@omni-iml/shared/ids";
import { beforeEach, expect, inject, it } from "vitest";
import { infer, RunnerBusy } from "../analysis/runner.ts";
import { settings } from "../environment.ts";
import { eventually } from "../testing/client.ts";
import type { RunnerState } from "../testing/runner-state.ts";

const { control, urls } = inject("severalRunners");
const several = { ...settings(env), RUNNER_URLS: urls };
const usual: RunnerState = { up: true, milliseconds: 20, release: null, slots: 1_000 };
const defaults: AnalysisOptions = analysisOptions.parse({});

const set = (index: number, change: Partial<RunnerState> = {}) =>
  fetch(`${control}/${index}`, { method: "PUT", body: JSON.stringify({ ...usual, ...change }) });

async function offered(): Promise<number[]> {
  const lists = await Promise.all(urls.map(async (_, n) => (await fetch(`${control}/${n}`)).json<string[]>()));
  return lists.map((list) => list.length);
}

/** Has one job done, as its record would: a job that no runner takes comes again. */
async function run(release = "r1"): Promise<void> {
  const request = {
    job_id: newId("analysis"),
    attempt: 1,
    release,
    input_url: "http://storage.test/input",
    sha256: "0".repeat(64),
    bytes: 1_000,
    outputs: {},
    options: defaults,
    deadline: Date.now() + 60_000,
  };
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      const kinds: string[] = [];
      const lines = infer(env, several, request, null, AbortSignal.timeout(20_000));
      for await (const line of lines) kinds.push(line.type);
      if (kinds.at(-1) === "result") return;
    } catch (error) {
      if (!(error instanceof RunnerBusy) && Date.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const runAll = (jobs: number, release?: string) => Promise.all(Array.from({ length: jobs }, () => run(release)));

/** All three up and believed to be, by a pool that knows nothing of the test before: a slow runner is remembered for a minute. */
beforeEach(async () => {
  await abortAllDurableObjects();
  await Promise.all(urls.map((_, index) => set(index)));
  await eventually(async () => {
    await Promise.all(urls.map((_, index) => set(index)));
    await runAll(12);
    expect(Math.min(...(await offered()))).toBeGreaterThan(0);
  });
  await Promise.all(urls.map((_, index) => set(index)));
});

it("spreads concurrent jobs over all of them", async () => {
  await runAll(30);
  for (const jobs of await offered()) expect(jobs).toBeGreaterThanOrEqual(5);
});

it("sends fewer jobs to a slow one, and every job ends", async () => {
  await set(2, { milliseconds: 2_000 });
  await runAll(3);
  await runAll(30);
  const [first = 0, second = 0, slow = 0] = await offered();
  expect(slow).toBeGreaterThan(0);
  expect(slow).toBeLessThan(Math.min(first, second) / 2);
});

it("leaves a killed one alone, ends every job, and takes it back when it is there again", async () => {
  await set(0, { milliseconds: 300 });
  const under = runAll(12);
  await eventually(async () => expect((await offered())[0]).toBeGreaterThan(0));
  await set(0, { up: false });
  await under;
  await runAll(12);
  expect((await offered())[0]).toBe(0);
  // Up again: nothing tells the pool but its own probe.
  await set(0);
  await eventually(async () => {
    await runAll(6);
    expect((await offered())[0]).toBeGreaterThan(0);
  });
});

it("fills what the others have no room for", async () => {
  await Promise.all(urls.map((_, index) => set(index, { slots: 2, milliseconds: 100 })));
  await runAll(18);
  for (const jobs of await offered()) expect(jobs).toBeGreaterThan(0);
});

it("offers each release to the runners that serve it while both run", async () => {
  await Promise.all([set(0, { release: "r1" }), set(1, { release: "r2" }), set(2, { release: "r2" })]);
  await Promise.all([runAll(6, "r1"), runAll(6, "r2")]);
  const [old = 0] = await offered();
  expect(old).toBeGreaterThanOrEqual(6);
  // The last of the old ones is upgraded: jobs of the old release wait, as no failure of theirs.
  await set(0, { release: "r2" });
  const waiting = run("r1");
  await runAll(4, "r2");
  await set(1, { release: "r1" });
  await waiting;
});
