/** Threads for checks: none of them may hold up the process that serves, or keep it from ending. */
import { Worker } from "node:worker_threads";
import type { Answer, Outcome, Task } from "./thread.ts";

const source = new URL("./thread.ts", import.meta.url);

export class OutOfTime extends Error {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`not finished within ${milliseconds} ms`);
    this.milliseconds = milliseconds;
  }
}

/** The thread has died: of this task, or of what the machine was short of. */
export class ThreadLost extends Error {}

export interface Limits {
  readonly milliseconds: number;
  /** Ends the task, and the thread with it. */
  readonly signal: AbortSignal;
}

/** One thread that does one task after another, and a new one after a task that took too long or took it down. */
export class TaskThread {
  #worker: Worker | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** Tasks that wait or run. */
  #tasks = 0;
  #ending: NodeJS.Timeout | undefined;
  readonly #idle: number | null;

  /** @param idle milliseconds without a task after which the thread ends and gives its memory back; null: never. */
  constructor({ idle = null }: { readonly idle?: number | null } = {}) {
    this.#idle = idle;
  }

  /**
   * @throws OutOfTime, ThreadLost, the signal's reason, or what the task threw
   */
  run<Kind extends Task["kind"]>(task: Extract<Task, { kind: Kind }>, limits: Limits): Promise<Outcome[Kind]> {
    const turn = this.#last.then(() => this.#runNow(task, limits));
    this.#tasks++;
    this.#last = turn.catch(() => undefined).then(() => this.#rest());
    return turn;
  }

  #rest(): void {
    this.#tasks--;
    if (this.#idle === null || this.#tasks > 0) return;
    this.#ending = setTimeout(() => void this.end(), this.#idle).unref();
  }

  async end(): Promise<void> {
    clearTimeout(this.#ending);
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  /** The thread, started where there is none. */
  #ready(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = new Worker(source);
    worker.unref();
    // Whoever runs a task hears of these as well; nobody else may be taken down by them.
    worker.on("error", () => undefined);
    worker.on("exit", () => {
      if (this.#worker === worker) this.#worker = null;
    });
    this.#worker = worker;
    return worker;
  }

  async #runNow<Kind extends Task["kind"]>(
    task: Extract<Task, { kind: Kind }>,
    { milliseconds, signal }: Limits,
  ): Promise<Outcome[Kind]> {
    signal.throwIfAborted();
    clearTimeout(this.#ending);
    const worker = this.#ready();
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", withdraw);
        worker.off("error", failed).off("exit", ended).off("message", answered);
      };
      const giveUp = (reason: unknown) => {
        end();
        void this.end();
        reject(reason);
      };
      const failed = (error: unknown) => giveUp(new ThreadLost(String(error), { cause: error }));
      const withdraw = () => giveUp(signal.reason);
      const ended = (code: number) => giveUp(new ThreadLost(`the thread ended with ${code}`));
      const answered = (answer: Answer<Kind>) => {
        end();
        if ("error" in answer) reject(new Error(answer.error));
        else resolve(answer.outcome);
      };
      const timer = setTimeout(() => giveUp(new OutOfTime(milliseconds)), milliseconds);
      signal.addEventListener("abort", withdraw, { once: true });
      worker.on("error", failed).on("exit", ended).on("message", answered);
      worker.postMessage(task);
    });
  }
}

/** A task in a thread that ends with it, and takes along whatever memory it needed. */
export async function runAlone<Kind extends Task["kind"]>(
  task: Extract<Task, { kind: Kind }>,
  limits: Limits,
): Promise<Outcome[Kind]> {
  const thread = new TaskThread();
  try {
    return await thread.run(task, limits);
  } finally {
    await thread.end();
  }
}
