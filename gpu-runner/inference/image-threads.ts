/** The main thread's hold on the image threads: one job each, their tiles to the sessions and the answers back. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { messageOf } from "@omni-iml/shared/message-of";
import type { Interpreter } from "../interpretation/contract.ts";
import { answerRegions, type OfferedRegions } from "../interpretation/exchange.ts";
import { DeviceExhausted, Lane, type SharedSessions, type TileResult } from "./batcher.ts";
import type { ThreadData, ThreadOrder, ThreadReport } from "./image-thread.ts";
import type { AnalyseCommand, Report } from "./protocol.ts";
import type { AnsweredTile, OfferedTile } from "./tile-exchange.ts";

/** Tiles that somebody waits for run this many times as often as a batch's. */
const laneWeights = { interactive: 4, batch: 1 } as const;

interface Thread {
  readonly worker: Worker;
  job: { readonly id: number; readonly lane: Lane; readonly withdrawal: AbortController } | null;
}

/** What the main thread runs for the others. */
export interface Sessions {
  readonly batcher: SharedSessions;
  readonly interpreter: Interpreter | null;
}

export interface ThreadEvents {
  /** For the HTTP process. */
  tell(report: Report): void;
  /** A thread has ended, or the device has no memory for one tile: the process must be started anew. */
  broken(reason: Error): void;
}

export class ImageThreads {
  readonly #threads: Thread[] = [];
  readonly #sessions: Sessions;
  readonly #events: ThreadEvents;

  private constructor(sessions: Sessions, events: ThreadEvents) {
    this.#sessions = sessions;
    this.#events = events;
  }

  /** Starts `count` threads; resolves when all can take a job. */
  static async start(
    count: number,
    data: Omit<ThreadData, "interprets">,
    sessions: Sessions,
    events: ThreadEvents,
  ): Promise<ImageThreads> {
    const threads = new ImageThreads(sessions, events);
    const whole = { ...data, interprets: sessions.interpreter !== null };
    await Promise.all(Array.from({ length: count }, () => threads.#startOne(whole)));
    return threads;
  }

  async #startOne(data: ThreadData): Promise<void> {
    const worker = new Worker(new URL("./image-thread.ts", import.meta.url), { workerData: data });
    const thread: Thread = { worker, job: null };
    worker.on("error", (error) => this.#events.broken(error));
    worker.on("exit", (code) => this.#events.broken(new Error(`an image thread ended with exit code ${code}`)));
    // Its first message is that it is ready.
    await once(worker, "message");
    worker.on("message", (report: ThreadReport) => this.#hear(thread, report));
    this.#threads.push(thread);
  }

  analyse(order: AnalyseCommand): void {
    const thread = this.#threads.find(({ job }) => job === null);
    if (thread === undefined) throw new Error("there are more jobs than threads");
    const lane = new Lane(laneWeights[order.options.priority]);
    thread.job = { id: order.job, lane, withdrawal: new AbortController() };
    this.#order(thread, { type: "analyse", order });
  }

  /** Gives a job up: its tiles that have not run yet never do. */
  drop(id: number): void {
    const thread = this.#threads.find(({ job }) => job?.id === id);
    if (thread === undefined) return;
    thread.job?.withdrawal.abort(new Error("the job was withdrawn"));
    this.#order(thread, { type: "drop" });
  }

  #order(thread: Thread, order: ThreadOrder): void {
    thread.worker.postMessage(order);
  }

  #hear(thread: Thread, heard: ThreadReport): void {
    if (heard.type === "tile") {
      void this.#run(thread, heard);
    } else if (heard.type === "regions") {
      void this.#interpret(thread, heard);
    } else if (heard.type === "report") {
      if (heard.report.type !== "stage") thread.job = null;
      this.#events.tell(heard.report);
    }
  }

  async #interpret(thread: Thread, offered: OfferedRegions): Promise<void> {
    const { interpreter } = this.#sessions;
    if (interpreter === null) throw new Error("regions came, but there is no interpretation model");
    this.#order(thread, { type: "readings", ...(await answerRegions(interpreter, offered)) });
  }

  async #run(thread: Thread, { id, memory, width, height, ...rest }: OfferedTile): Promise<void> {
    if (thread.job === null) throw new Error("a tile came from a thread without a job");
    const { lane, withdrawal } = thread.job;
    const pixels = new Uint8Array(memory, 0, width * height * 3);
    let answer: AnsweredTile;
    try {
      const { probability, ...scores }: TileResult = await this.#sessions.batcher.run(
        { pixels, width, height, ...rest },
        withdrawal.signal,
        lane,
      );
      pixels.set(probability);
      answer = { id, ...scores };
    } catch (error) {
      if (error instanceof DeviceExhausted) this.#events.broken(error);
      answer = { id, failure: messageOf(error) };
    }
    this.#order(thread, { type: "answer", ...answer });
  }
}
