/**
 * `npm run test:load`: from half of what one machine can do to eight times that. The excess must be refused with 429 and
 * `Retry-After`, the admitted must all succeed in bounded time, as many a second as ever; memory must stay flat; and a
 * burst of one account must not starve another. The stack is the real one with the real model, on small images.
 *
 * Prints tables; exits 1 with a list of what did not hold. Figures that depend on who else uses the machine have slack:
 * a step's goodput may fall to 60 % of the best one's, or further where by the processor time of the stack it did not;
 * latency may be three times what the account's own limit and the step's goodput explain; and an account's fair share is
 * half of what was done for both together. The ramp goes up and down again: what changes on the machine meanwhile falls on
 * all of its steps.
 *
 *   --minutes N      of load in all (20)
 *   --in-flight N    analyses that an account may have under way (16)
 *   --plots FOLDER   writes load-goodput.svg, load-latency.svg and load-memory.svg there
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createdAccount } from "@omni-iml/shared/accounts";
import { newLocalAccount } from "../../infra/local/local-account.ts";
import { freePort } from "../../infra/local/ports.ts";
import { LocalStack } from "../../infra/local/stack.ts";
import { StateFolder } from "../../infra/local/state-folder.ts";
import { drawPlot } from "../bench/plot.ts";
import { temporaryState } from "../end-to-end/local-service.ts";
import { type Account, type Ending, offer, saturate, smallImages } from "./offered-load.ts";
import { type MemorySample, Watch } from "./watch.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    "in-flight": { type: "string", default: "16" },
    plots: { type: "string", default: "" },
  },
});
const minutes = Number(values.minutes);
const inFlight = Number(values["in-flight"]);
if (!(minutes >= 1) || !(inFlight >= 2)) throw new Error("--minutes is 1 or more, --in-flight 2 or more");
// What cannot be written should be known before the load, not after it.
if (values.plots !== "") mkdirSync(values.plots, { recursive: true });
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

/** What is offered, as multiples of what was measured to be possible. */
const factors = [0.5, 0.8, 1, 1.5, 2, 4, 8] as const;
/** How the time is spent. */
const share = { capacity: 0.1, ramp: 0.45, overload: 0.25, alone: 0.05, burst: 0.15 } as const;
const seconds = (part: keyof typeof share) => Math.max(10, minutes * 60 * share[part]);
/** The steady account's share of what is possible. */
const steadyShare = 0.15;

const complaints: string[] = [];
const mebibyte = 2 ** 20;

async function createAccount(stack: LocalStack, operatorKey: string, name: string): Promise<Account> {
  const answer = await fetch(`${stack.baseUrl}/v1/accounts`, {
    method: "POST",
    headers: { authorization: `Bearer ${operatorKey}`, "content-type": "application/json" },
    // What is refused is refused for what is under way, not for the number of requests.
    body: JSON.stringify({
      name,
      in_flight_limit: inFlight,
      requests_per_minute: 1_000_000,
      monthly_quota: 10_000_000,
    }),
  });
  const { key } = createdAccount.parse(await answer.json()).api_key;
  if (key === null) throw new Error("a new account comes with its key");
  return { baseUrl: stack.baseUrl, key };
}

/** One load, and what became of it. */
interface Run {
  endings: readonly Ending[];
  /** Seconds for which it was sent. */
  length: number;
  /** Seconds until the last of it had ended. */
  took: number;
  /** Seconds of processor time that the stack had meanwhile. */
  processor: number;
}

interface Step {
  name: string;
  /** Sent a second. */
  offered: number;
  sent: number;
  /** Succeeded a second, from the first that was sent to the last that ended. */
  goodput: number;
  succeeded: number;
  refused: number;
  /** Milliseconds from sending to the end, of those that succeeded; rising. */
  latencies: readonly number[];
  /** Milliseconds to the refusal; rising. */
  refusals: readonly number[];
  /** Processors that the stack had; NaN where another load ran beside it. */
  processors: number;
  /** Succeeded for each second of processor time of the stack; NaN where another load ran beside it. */
  perProcessorSecond: number;
}

function quantile(rising: readonly number[], part: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(part * rising.length))] ?? Number.NaN;
}

/** Sums up what became of a load, or of one that came several times, and complains of what must not happen. */
function sumUp(name: string, runs: readonly Run[]): Step {
  const rising = (list: readonly number[]) => [...list].sort((a, b) => a - b);
  const total = (pick: (run: Run) => number) => runs.reduce((sum, run) => sum + pick(run), 0);
  const endings = runs.flatMap((run) => run.endings);
  const done = endings.filter((one) => one.kind === "done");
  const refused = endings.filter((one) => one.kind === "refused");
  for (const one of endings) if (one.kind === "broken") complaints.push(`${name}: ${one.what}`);
  for (const { status, code, retryAfter } of refused) {
    if (status !== 429) complaints.push(`${name}: refused with ${status} ${code} instead of 429`);
    if (retryAfter === null || !(retryAfter >= 1)) complaints.push(`${name}: ${code} without Retry-After`);
  }
  const processor = total((run) => run.processor);
  return {
    name,
    offered: endings.length / total((run) => run.length),
    sent: endings.length,
    goodput: done.length / total((run) => run.took),
    succeeded: done.length,
    refused: refused.length,
    latencies: rising(done.map(({ sentAt, endedAt }) => endedAt - sentAt)),
    refusals: rising(refused.map(({ sentAt, endedAt }) => endedAt - sentAt)),
    processors: processor / total((run) => run.took),
    perProcessorSecond: done.length / processor,
  };
}

const heads = [
  "offered",
  "a second",
  "sent",
  "succeeded",
  "goodput",
  "429",
  "latency p50",
  "p95",
  "max",
  "429 after p95",
  "processors had",
  "by processor second",
];

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function row(step: Step): string {
  const { name, offered, sent, succeeded, goodput, refused, latencies, refusals } = step;
  const known = (value: number) => (Number.isNaN(value) ? "" : value.toFixed(2));
  const time = (milliseconds: number) => (Number.isNaN(milliseconds) ? "" : `${(milliseconds / 1000).toFixed(2)} s`);
  return line([
    name,
    offered.toFixed(2),
    String(sent),
    String(succeeded),
    `${goodput.toFixed(2)}/s`,
    `${refused} (${((100 * refused) / Math.max(1, sent)).toFixed(0)} %)`,
    time(quantile(latencies, 0.5)),
    time(quantile(latencies, 0.95)),
    time(latencies.at(-1) ?? Number.NaN),
    time(quantile(refusals, 0.95)),
    known(step.processors),
    known(step.perProcessorSecond),
  ]);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The mean of each part's memory, in MiB, in so many equal spans of time. */
function memoryBySpan(
  samples: readonly MemorySample[],
  spans: number,
): Map<string, [minute: number, mebibytes: number][]> {
  const [first, last] = [samples[0]?.at ?? 0, samples.at(-1)?.at ?? 1];
  const sums = new Map<string, { sum: number; count: number }[]>();
  for (const { at, parts } of samples) {
    const span = Math.min(spans - 1, Math.floor((spans * (at - first)) / (last - first)));
    for (const [part, bytes] of parts) {
      const own = sums.get(part) ?? Array.from({ length: spans }, () => ({ sum: 0, count: 0 }));
      sums.set(part, own);
      const one = own[span];
      if (one !== undefined) {
        one.sum += bytes;
        one.count++;
      }
    }
  }
  const minute = (span: number) => Number((((span + 0.5) * (last - first)) / spans / 60_000).toFixed(1));
  return new Map(
    [...sums].map(([part, own]) => [
      part,
      own.flatMap(({ sum, count }, span) =>
        count === 0 ? [] : [[minute(span), sum / count / mebibyte] as [number, number]],
      ),
    ]),
  );
}

await using state = await temporaryState();
const folder = new StateFolder(state.path);
await folder.secrets(newLocalAccount);
const stack = new LocalStack({ port: await freePort(), state: folder, report: (text) => complaints.push(text) });
const { apiKey } = await stack.start();
try {
  const crowd = await createAccount(stack, apiKey, "crowd");
  const steady = await createAccount(stack, apiKey, "steady");
  const image = await smallImages();
  await saturate(crowd, image, 2, 5);
  using watch = new Watch(stack);

  const run = async (length: number, load: () => Promise<Ending[]>, byItself = true): Promise<Run> => {
    const start = performance.now();
    const processor = byItself ? watch.processorSeconds : Number.NaN;
    const endings = await load();
    const took = (performance.now() - start) / 1000;
    return { endings, length, took, processor: watch.processorSeconds - processor };
  };
  const told = (name: string, ...runs: Run[]): Step => {
    const step = sumUp(name, runs);
    say(row(step));
    return step;
  };

  say(`${minutes} minutes; an account may have ${inFlight} analyses under way\n`);
  say(line(heads));
  say(line(heads.map(() => "---")));
  const length = seconds("capacity");
  const possible = told(
    `${inFlight} clients in turns`,
    await run(length, () => saturate(crowd, image, inFlight, length)),
  );
  let capacity = possible.goodput;
  if (capacity === 0) throw new Error("no analysis ended in time: give it more --minutes");
  const passes = factors.map((factor): { factor: number; runs: Run[] } => ({ factor, runs: [] }));
  for (const { factor, runs } of [...passes, ...passes.toReversed()]) {
    const time = seconds("ramp") / factors.length / 2;
    const one = await run(time, () => offer(crowd, image, factor * capacity, time));
    runs.push(one);
    // Where the machine was busier before, more is possible than was measured then.
    capacity = Math.max(capacity, one.endings.filter(({ kind }) => kind === "done").length / one.took);
  }
  const ramp = passes.map(({ factor, runs }) => ({ ...told(`${factor} ×`, ...runs), factor }));
  const soak = seconds("overload");
  const overload = told("2 ×, on and on", await run(soak, () => offer(crowd, image, 2 * capacity, soak)));
  // Of what is possible now, which may be less or more than at the beginning.
  const trickle = (time: number) => offer(steady, image, steadyShare * overload.goodput, time);
  const alone = told("steady account alone", await run(seconds("alone"), () => trickle(seconds("alone"))));
  const time = seconds("burst");
  const bursting = run(time, () => offer(crowd, image, 8 * overload.goodput, time), false);
  const beside = told("steady account beside a burst", await run(time, () => trickle(time), false));
  const burst = told("that burst of another, 8 ×", await bursting);

  const unhurried = [possible, ...ramp, overload];
  const best = Math.max(...unhurried.map(({ goodput }) => goodput));
  const thriftiest = Math.max(...unhurried.map(({ perProcessorSecond }) => perProcessorSecond));
  for (const step of [...ramp.filter(({ factor }) => factor >= 4), overload]) {
    // Where the machine had less time for the stack, less was done, but not less with that time.
    if (step.goodput < 0.6 * best && step.perProcessorSecond < 0.6 * thriftiest) {
      complaints.push(`${step.name}: goodput ${step.goodput.toFixed(2)}/s, where ${best.toFixed(2)}/s was possible`);
    }
    if (step.refused === 0) complaints.push(`${step.name}: nothing was refused`);
  }
  for (const step of [...ramp, overload]) {
    const explained = (inFlight / Math.max(step.goodput, Number.EPSILON)) * 1000;
    const slowest = step.latencies.at(-1) ?? 0;
    if (step.refused > 0 && slowest > 3 * explained) {
      complaints.push(`${step.name}: an analysis took ${(slowest / 1000).toFixed(1)} s`);
    }
  }
  const together = beside.goodput + burst.goodput;
  if (beside.offered < 0.4 * together) {
    // It finds a full queue of the other's before it, and nothing more.
    const turn = ((inFlight + 1) / together) * 1000;
    const waited = quantile(beside.latencies, 0.95);
    if (beside.succeeded < beside.sent) complaints.push("the steady account did not get all it sent");
    if (waited > quantile(alone.latencies, 0.95) + 3 * turn) {
      complaints.push(`the steady account waited ${(waited / 1000).toFixed(1)} s beside the burst`);
    }
  } else if (beside.goodput < 0.4 * together) {
    complaints.push(`the steady account got ${beside.goodput.toFixed(2)}/s of ${together.toFixed(2)}/s, not its half`);
  }

  const memory = memoryBySpan(watch.samples, 10);
  say("\n| part | MiB after warming up | MiB at the end | most |\n| --- | --- | --- | --- |");
  for (const [part, points] of memory) {
    const mib = points.map(([, value]) => value);
    const [early, late] = [mib[2] ?? 0, mib.at(-1) ?? 0];
    say(line([part, early.toFixed(0), late.toFixed(0), Math.max(...mib).toFixed(0)]));
    if (late > early * 1.25 && late - early > 64) {
      complaints.push(`${part} grew from ${early.toFixed(0)} to ${late.toFixed(0)} MiB`);
    }
  }

  if (values.plots !== "") {
    const write = (file: string, svg: string) => writeFileSync(join(values.plots, file), svg);
    const over = (name: string, y: (step: Step) => number) => ({
      name,
      points: ramp.map((step) => [step.factor, y(step)] as const),
    });
    const xTitle = "offered, as a multiple of what one machine was measured to do";
    write(
      "load-goodput.svg",
      drawPlot({
        title: "Goodput from half load to eight times too much",
        xTitle,
        yTitle: "analyses a second",
        logarithmicX: true,
        lines: [over("succeeded", ({ goodput }) => goodput)],
      }),
    );
    write(
      "load-latency.svg",
      drawPlot({
        title: `Latency of what was admitted, ${inFlight} at a time`,
        xTitle,
        yTitle: "seconds",
        logarithmicX: true,
        lines: [
          over("p95", ({ latencies }) => quantile(latencies, 0.95) / 1000),
          over("median", ({ latencies }) => quantile(latencies, 0.5) / 1000),
        ],
      }),
    );
    write(
      "load-memory.svg",
      drawPlot({
        title: "Resident memory under load",
        xTitle: "minutes",
        yTitle: "MiB",
        logarithmicX: false,
        lines: [...memory].map(([name, points]) => ({ name, points })),
      }),
    );
  }
} finally {
  await stack.stop();
}
for (const complaint of new Set(complaints)) say(`- ${complaint}`);
say(`\n${new Set(complaints).size} complaints`);
// Not ended here: the folder with the stack's state goes with the end of this module.
if (complaints.length > 0) process.exitCode = 1;
