/**
 * The HTTP side's hold on the inference process: starts it, hands it jobs, starts it again when it ends.
 *
 * The process has a few jobs in hand, one for each of its image threads, so that decoding and encoding of one overlap
 * with the inference of another. The rest wait here, where a crash does not reach them.
 */
import { type ChildProcess, fork } from "node:child_process";
import { Problem } from "@omni-iml/shared/problems";
import type { Logger } from "pino";
import { JobQueue, type Queued } from "../jobs/queue.ts";
import { Suspects } from "../jobs/suspects.ts";
import { type AnalyseCommand, type Command, type JobStage, type LoadCommand, type Report, report } from "./protocol.ts";

/** Milliseconds in which a withdrawn job must be given up; one tile on a slow machine takes seconds. */
const dropWithin = 60_000;
const firstBackOff = 250;
const longestBackOff = 30_000;
/** Ends in a row, without an analysis in between, after which waiting jobs are better off with another runner. */
const failing = 3;
/** Pixels in hand, against those of the largest image: beside one of that size others still go on. */
const handShare = 1.25;

export interface Order extends Omit<AnalyseCommand, "type" | "job"> {
  /** Whose it is; accounts take turns. */
  readonly account: string | null;
  /** As the header claims. */
  readonly pixels: number;
}
export type Analysed = Extract<Report, { type: "done" }> & { readonly queuedFor: number };

export interface OrderWatch {
  readonly signal: AbortSignal;
  onStage(stage: JobStage, progress: number | null): void;
}

interface Job extends Queued {
  readonly id: number;
  readonly order: Order;
  readonly watch: OrderWatch;
  startedAt: number;
  readonly resolve: (analysed: Analysed) => void;
  readonly reject: (reason: unknown) => void;
}

export interface InferenceEvents {
  /** The process has ended without being told to. */
  crashed(): void;
  /** The process has loaded and warmed its model. */
  ready(): void;
  /** The session has run. */
  batch(facts: Extract<Report, { type: "batch" }>): void;
}

export class InferenceProcess {
  readonly #load: LoadCommand;
  readonly #log: Logger;
  readonly #events: InferenceEvents;
  readonly #program: URL;
  #child: ChildProcess | null = null;
  #ready = false;
  #stopping = false;
  #everReady = false;
  #failures = 0;
  #lastId = 0;
  readonly #waiting: JobQueue<Job>;
  readonly #suspects = new Suspects();
  /** The withdrawn job for which the process is being killed. */
  #overdue: Job | null = null;
  readonly #running = new Map<number, Job>();
  readonly #dropTimers = new Map<number, NodeJS.Timeout>();
  #firstReady: { resolve: () => void; reject: (reason: Error) => void } | null = null;

  constructor(
    load: Omit<LoadCommand, "type">,
    log: Logger,
    events: InferenceEvents,
    program = new URL("./child.ts", import.meta.url),
  ) {
    this.#load = { type: "load", ...load };
    this.#log = log;
    this.#events = events;
    this.#program = program;
    this.#waiting = new JobQueue({ jobs: load.imageThreads, pixels: handShare * load.maxPixels });
  }

  /** Starts the process; resolves when it is warm, rejects with the reason when it cannot serve at all. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#firstReady = { resolve, reject };
      this.#spawn();
    });
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** The process's id; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get waitingPixels(): number {
    return this.#waiting.pixels;
  }

  /** Pixels of all that a new job has to wait for. */
  pixelsBefore(job: Pick<Queued, "account" | "priority" | "pixels">): number {
    let inHand = 0;
    for (const { pixels } of this.#running.values()) inHand += pixels;
    return inHand + this.#waiting.pixelsBefore({ ...job, queuedAt: performance.now(), alone: false });
  }

  /** The process ends again and again: it takes no jobs until it is warm once more. */
  get failing(): boolean {
    return !this.#ready && this.#failures >= failing;
  }

  /** @throws Problem `image_crashes_analysis` for an input in whose hands the process has ended too often. */
  refuseCondemned(sha256: string): void {
    if (this.#suspects.condemned(sha256)) {
      throw new Problem(
        "image_crashes_analysis",
        "The inference process has ended twice while it analysed this very file; it is not tried again.",
      );
    }
  }

  /** Jobs that the process has in hand, withdrawn ones included until it has given them up. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Analyses one file.
   *
   * @throws Problem: the file's own, `inference_crashed`, `runner_unavailable`, or what the watch's signal was aborted
   *   with.
   */
  analyse(order: Order, watch: OrderWatch): Promise<Analysed> {
    return new Promise((resolve, reject) => {
      watch.signal.throwIfAborted();
      this.refuseCondemned(order.sha256);
      const job: Job = {
        id: ++this.#lastId,
        order,
        watch,
        account: order.account,
        pixels: order.pixels,
        priority: order.options.priority,
        alone: this.#suspects.suspected(order.sha256),
        queuedAt: performance.now(),
        startedAt: 0,
        resolve,
        reject,
      };
      watch.signal.addEventListener("abort", () => this.#withdraw(job), { once: true });
      this.#waiting.add(job);
      this.#hand();
    });
  }

  /** Gives the jobs that have not been started back, untouched: another runner can have them at once. */
  handBack(reason: string): void {
    for (const job of this.#waiting.takeAll()) {
      job.reject(new Problem("runner_unavailable", reason, { retryAfter: 5 }));
    }
  }

  /** Ends the process; what it was doing is answered with `inference_crashed`. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === null) return;
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
  }

  #spawn(): void {
    if (this.#stopping) return;
    const child = fork(this.#program, {
      serialization: "advanced",
      // Native libraries print what they like; it goes to stderr and leaves the log on stdout readable by machines.
      stdio: ["ignore", 2, 2, "ipc"],
      // Without it cuDNN and cuBLAS compute fp32 convolutions in TF32 on Ampere and later.
      env: { ...process.env, NVIDIA_TF32_OVERRIDE: "0" },
    });
    this.#child = child;
    child.on("message", (message) => {
      const heard = report.safeParse(message);
      if (heard.success) return this.#hear(heard.data);
      this.#log.error({ err: heard.error }, "the inference process says what nobody understands and is killed");
      child.kill("SIGKILL");
    });
    child.on("error", (error) => this.#log.error({ err: error }, "the inference process could not be reached"));
    child.once("exit", (code, signal) => this.#ended(child, code, signal));
    this.#send(this.#load);
  }

  #send(order: Command): void {
    // A failed send means that the process is going: its exit answers for its jobs.
    this.#child?.send(order, (error) => {
      if (error) this.#log.warn({ err: error }, "a message to the inference process was lost");
    });
  }

  #hand(): void {
    while (this.#ready) {
      const job = this.#waiting.next([...this.#running.values()], performance.now());
      if (job === null) return;
      job.startedAt = performance.now();
      this.#running.set(job.id, job);
      const { pixels, account, ...order } = job.order;
      this.#send({ type: "analyse", job: job.id, ...order });
    }
  }

  #withdraw(job: Job): void {
    job.reject(job.watch.signal.reason);
    if (this.#running.has(job.id)) {
      this.#send({ type: "drop", job: job.id });
      const overdue = setTimeout(() => {
        this.#log.error({ job: job.id }, "the inference process does not give up a withdrawn job and is killed");
        this.#overdue = job;
        this.#child?.kill("SIGKILL");
      }, dropWithin);
      this.#dropTimers.set(job.id, overdue);
    } else {
      this.#waiting.remove(job);
      // It may have held up those behind it.
      this.#hand();
    }
  }

  #hear(heard: Report): void {
    if (heard.type === "ready") {
      this.#ready = true;
      this.#everReady = true;
      this.#events.ready();
      this.#firstReady?.resolve();
      this.#hand();
      return;
    }
    if (heard.type === "unusable") {
      if (this.#everReady) this.#log.error({ reason: heard.reason }, "the inference process cannot serve");
      else this.#stopping = true;
      this.#firstReady?.reject(new Error(heard.reason));
      this.#child?.kill("SIGKILL");
      return;
    }
    if (heard.type === "batch") {
      this.#events.batch(heard);
      return;
    }
    if (heard.type === "shrunk") {
      this.#log.warn({ largest: heard.largest }, "the device ran out of memory; batches are smaller from now on");
      return;
    }
    const job = this.#running.get(heard.job);
    if (job === undefined) return;
    if (heard.type === "stage") {
      if (!job.watch.signal.aborted) job.watch.onStage(heard.stage, heard.progress);
      return;
    }
    this.#forget(job.id);
    if (heard.type !== "dropped") this.#suspects.cleared(job.order.sha256);
    if (heard.type === "done") {
      this.#failures = 0;
      job.resolve({ ...heard, queuedFor: job.startedAt - job.queuedAt });
    } else if (heard.type === "failed") {
      const cause = heard.cause === "" ? undefined : new Error(heard.cause);
      job.reject(new Problem(heard.code, heard.detail, { cause }));
    }
    this.#hand();
  }

  #forget(id: number): void {
    this.#running.delete(id);
    clearTimeout(this.#dropTimers.get(id));
    this.#dropTimers.delete(id);
  }

  #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#ready = false;
    const ending = signal === null ? `exit code ${code}` : `signal ${signal}`;
    const overdue = this.#overdue;
    this.#overdue = null;
    for (const [id, job] of this.#running) {
      this.#forget(id);
      // A job that had to be killed is the cause; otherwise it may be any of those in hand.
      if (!this.#stopping && (overdue === null || overdue === job)) this.#suspects.crashed(job.order.sha256);
      job.reject(new Problem("inference_crashed", `The inference process ended (${ending}) during this analysis.`));
    }
    if (this.#stopping) return;
    this.#events.crashed();
    const wait = Math.min(longestBackOff, firstBackOff * 2 ** this.#failures++);
    this.#log.error({ code, signal, wait }, "the inference process ended and is started again");
    if (this.failing && !this.#everReady) {
      this.#stopping = true;
      this.#firstReady?.reject(new Error(`the inference process ends before it is ready (${ending})`));
      return;
    }
    if (this.failing) this.handBack("The inference process of this runner cannot be kept up.");
    setTimeout(() => this.#spawn(), wait).unref();
  }
}
