/** Reports are laid out on threads of their own: a page of PDF takes as long as some requests, and HTTP must not wait. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { ReportOrder } from "./make.ts";

/** Milliseconds for one report; what takes longer on the busiest machine will not end. */
const longest = 60_000;
/** Reports may lag behind a little: the cores are the network's. */
const niceness = 5;

export class ReportMaker {
  readonly #threads = new Piscina<ReportOrder, Uint8Array>({
    filename: fileURLToPath(new URL("./make.ts", import.meta.url)),
    name: "makeReport",
    // Started by the first report, and kept: the fonts are read once.
    minThreads: 0,
    maxThreads: Math.max(1, Math.floor(availableParallelism() / 4)),
    idleTimeout: Number.POSITIVE_INFINITY,
    niceIncrement: niceness,
  });

  /** @throws the signal's reason, or why the layout failed or took too long; neither disturbs another report. */
  async make(order: ReportOrder, signal: AbortSignal): Promise<Uint8Array> {
    const time = AbortSignal.timeout(longest);
    try {
      return await this.#threads.run(order, { signal: AbortSignal.any([signal, time]) });
    } catch (error) {
      signal.throwIfAborted();
      throw time.aborted ? new Error(`it was not finished within ${longest / 1000} s`) : error;
    }
  }

  stop(): Promise<void> {
    return this.#threads.destroy();
  }
}
