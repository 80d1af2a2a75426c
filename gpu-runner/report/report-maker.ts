/** Reports are laid out on a thread of their own: a page of PDF takes as long as some requests, and HTTP must not wait. */
import { Worker } from "node:worker_threads";
import type { ReportOrder, Reports } from "./make.ts";
import type { ThreadAnswer, ThreadOrder } from "./report-thread.ts";

export class ReportMaker {
  #worker: Worker | null = null;
  readonly #outstanding = new Map<number, PromiseWithResolvers<Reports>>();
  #lastId = 0;

  /** @throws where the layout fails or its thread ends; the next report gets a new thread. */
  make(order: ReportOrder): Promise<Reports> {
    this.#worker ??= this.#start();
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Reports>();
    this.#outstanding.set(id, answer);
    this.#worker.postMessage({ id, ...order } satisfies ThreadOrder);
    return answer.promise;
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./report-thread.ts", import.meta.url));
    // It never keeps a runner alive that has ended.
    worker.unref();
    worker.on("message", ({ id, ...answer }: ThreadAnswer) => {
      const outstanding = this.#outstanding.get(id);
      this.#outstanding.delete(id);
      if ("failure" in answer) outstanding?.reject(new Error(answer.failure));
      else outstanding?.resolve(answer);
    });
    const ended = (reason: unknown) => {
      if (this.#worker === worker) this.#worker = null;
      for (const { reject } of this.#outstanding.values()) reject(reason);
      this.#outstanding.clear();
    };
    worker.on("error", ended);
    worker.on("exit", (code) => ended(new Error(`the report thread ended with exit code ${code}`)));
    return worker;
  }
}
