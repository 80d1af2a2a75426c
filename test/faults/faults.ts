/**
 * `npm run test:faults`: under a steady load of mixed images things are killed, fail, hang and lie. Afterwards every
 * accepted analysis must be in one terminal state, its files whole, its end announced to every endpoint under one id.
 *
 * The stack is the real one. For numbers its runners are stand-ins (stand-in-runner.ts); the kills are repeated with the
 * real runner and its model. What cannot be reached from outside (database, queue, the days of a webhook's schedule) is
 * disturbed in the Workers runtime (edge/faults). Prints a table; exits 1 where anything was lost or duplicated.
 *
 *   --jobs N      images for each fault of the stand-in stack (80)
 *   --real N      images for each kill with the model (20; 0: none)
 *   --only WORD   only faults with this word in their names
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { repository } from "../../infra/local/stack.ts";
import { temporaryState } from "../end-to-end/local-service.ts";
import { FaultyStack } from "./faulty-stack.ts";
import { MixedImages } from "./mixed-images.ts";
import type { RunnerBehaviour } from "./runner-behaviour.ts";
import { check, steadyLoad } from "./steady-load.ts";
import type { StorageFault } from "./storage-proxy.ts";
import { type FaultRow, markdown } from "./table.ts";

interface Fault {
  name: string;
  begin: (stack: FaultyStack) => void | Promise<void>;
  /** Undoes it after `seconds`. Without it, the fault is over as soon as it was made. */
  end?: (stack: FaultyStack) => void | Promise<void>;
  seconds?: number;
}

/** How long one fault's load may take to be accepted, and then to end and be announced, on a busy machine. */
const patience = 600_000;

const behaving = (name: string, behaviour: RunnerBehaviour, seconds: number): Fault => ({
  name,
  seconds,
  begin: (stack) => stack.behave(behaviour),
  end: (stack) => stack.behave({ kind: "well", share: 1 }),
});
const storing = (name: string, fault: StorageFault, seconds: number): Fault => ({
  name,
  seconds,
  begin: ({ storage }) => {
    storage.fault = fault;
  },
  end: ({ storage }) => {
    storage.fault = null;
  },
});
const receiving = (name: string, fault: number | "hang", seconds: number): Fault => ({
  name,
  seconds,
  begin: ({ receiver }) => {
    receiver.fault = fault;
  },
  end: ({ receiver }) => {
    receiver.fault = null;
  },
});
const kill = (part: "edge" | "egress-proxy" | "gpu-runner", name: string): Fault => ({
  name: `kill -9 ${name}`,
  begin: (stack) => stack.kill(part),
});
const killRunners = (name: string, count: number, seconds: number): Fault => ({
  name: `kill -9 ${name}, back after ${seconds} s`,
  seconds,
  begin: (stack) => stack.killRunners(count),
  end: (stack) => stack.revive(),
});

const standInFaults: readonly Fault[] = [
  { name: "none", begin: () => undefined },
  kill("edge", "the edge, state kept"),
  killRunners("one of three runners", 1, 10),
  killRunners("all three runners", 3, 10),
  kill("egress-proxy", "the egress proxy"),
  storing("storage: GET answers 503", { method: "GET", kind: "refuse", share: 1 }, 6),
  storing("storage: PUT answers 503", { method: "PUT", kind: "refuse", share: 1 }, 6),
  storing("storage: GET hangs", { method: "GET", kind: "hang", share: 0.3 }, 8),
  storing("storage: PUT hangs", { method: "PUT", kind: "hang", share: 0.3 }, 8),
  storing("storage: GET breaks off", { method: "GET", kind: "cut", share: 0.5 }, 8),
  storing("storage: PUT breaks off", { method: "PUT", kind: "cut", share: 0.5 }, 8),
  behaving("runner answers slowly", { kind: "slow", share: 0.5 }, 10),
  behaving("runner answers half", { kind: "half", share: 0.5 }, 8),
  behaving("runner answers garbage", { kind: "garbage", share: 0.5 }, 8),
  behaving("runner answers outside the contract", { kind: "nonsense", share: 0.5 }, 8),
  behaving("runner falls silent", { kind: "silent", share: 0.3 }, 8),
  behaving("runner answers 500", { kind: "fails", share: 0.5 }, 8),
  receiving("webhooks' receiver answers 503", 503, 12),
  receiving("webhooks' receiver hangs", "hang", 12),
];

const realFaults: readonly Fault[] = [
  { name: "kill -9 the inference process (model)", begin: (stack) => stack.killInference() },
  kill("gpu-runner", "the runner (model)"),
  kill("edge", "the edge, state kept (model)"),
];

async function disturb(stack: FaultyStack, images: MixedImages, fault: Fault, jobs: number, real: boolean) {
  const begun = Promise.withResolvers<number>();
  const beginAt = Math.ceil(jobs * 0.4);
  let started = false;
  const begin = async (count: number) => {
    if (started || count < beginAt) return;
    started = true;
    try {
      await fault.begin(stack);
      if (fault.seconds !== undefined) await sleep(fault.seconds * 1000);
      const lifted = Date.now();
      await fault.end?.(stack);
      begun.resolve(lifted);
    } catch (error) {
      begun.reject(error);
    }
  };
  const accepted = await steadyLoad(stack, images, jobs, (count) => void begin(count), patience);
  const lifted = await begun.promise;
  const verdict = await check(stack, accepted, lifted, real, patience);
  for (const complaint of verdict.complaints.slice(0, 10)) process.stderr.write(`  ${complaint}\n`);
  const { succeeded, refused, lost, duplicated, recovery } = verdict;
  return { fault: fault.name, jobs, succeeded, failed: refused, lost, duplicated, recovery };
}

/** The rows that edge/faults prints. */
async function inWorkersRuntime(only: string): Promise<FaultRow[]> {
  const vitest = join(repository, "node_modules/vitest/vitest.mjs");
  const config = join(repository, "edge/vitest.config.ts");
  const args = [vitest, "run", "--config", config, "--mode", "faults", ...(only === "" ? [] : ["-t", only])];
  const child = spawn(process.execPath, args, { cwd: repository, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) {
    process.stderr.write(output.slice(-20_000));
    process.exitCode = 1;
  }
  return [...output.matchAll(/fault-row (\{.*\})$/gm)].map(([, row]): FaultRow => JSON.parse(row ?? ""));
}

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "80" },
    real: { type: "string", default: "20" },
    only: { type: "string", default: "" },
  },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const wanted = (faults: readonly Fault[]) => faults.filter(({ name }) => name.includes(values.only));
const rows: FaultRow[] = [];

async function each(faults: readonly Fault[], jobs: number, runners: number): Promise<void> {
  if (faults.length === 0 || jobs === 0) return;
  await using state = await temporaryState();
  await using stack = await FaultyStack.start(state.path, runners);
  const images = await MixedImages.make();
  for (const fault of faults) {
    const start = Date.now();
    const row = await disturb(stack, images, fault, jobs, runners === 0);
    rows.push(row);
    process.stdout.write(`${JSON.stringify(row)}  ${Math.round((Date.now() - start) / 1000)} s\n`);
  }
}

await each(wanted(realFaults), Number(values.real), 0);
await each(wanted(standInFaults), Number(values.jobs), 3);
rows.push(...(await inWorkersRuntime(values.only)));
process.stdout.write(`\n${markdown(rows)}\n`);
if (rows.some((row) => row.lost + row.duplicated > 0)) process.exitCode = 1;
