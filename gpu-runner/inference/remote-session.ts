/** A model session on a thread of its own, which it may block: whoever asks it goes on meanwhile. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ModelInput, ModelOutput, Session } from "./session.ts";
import type { SessionAnswer, SessionThreadData, SessionThreadReport } from "./session-thread.ts";

export class RemoteSession implements Session {
  readonly #worker: Worker;
  #running: PromiseWithResolvers<ModelOutput> | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Loads the model on a new thread.
   *
   * @param broken told when the thread has ended; an answer that it owed never comes.
   * @throws Error where `loadSession` does.
   */
  static async start(
    data: SessionThreadData,
    broken: (reason: Error) => void,
    program = new URL("./session-thread.ts", import.meta.url),
  ): Promise<RemoteSession> {
    const worker = new Worker(program, { workerData: data });
    const session = new RemoteSession(worker);
    const [report]: SessionThreadReport[] = await once(worker, "message");
    if (report?.type !== "ready") {
      await worker.terminate();
      throw new Error(report?.reason ?? "the session's thread does not start");
    }
    worker.on("error", broken);
    worker.on("exit", (code) => broken(new Error(`a session's thread ended with exit code ${code}`)));
    worker.on("message", (answer: SessionAnswer) => session.#hear(answer));
    return session;
  }

  /** One after the other: the thread could not begin a second one before the first is over. */
  run(input: ModelInput): Promise<ModelOutput> {
    if (this.#running !== null) throw new Error("the session is running");
    this.#running = Promise.withResolvers();
    // Pixels in shared memory are not copied; the rest is small.
    this.#worker.postMessage(input);
    return this.#running.promise;
  }

  #hear(answer: SessionAnswer): void {
    const running = this.#running;
    this.#running = null;
    if ("output" in answer) running?.resolve(answer.output);
    else running?.reject(new Error(answer.failure));
  }
}
