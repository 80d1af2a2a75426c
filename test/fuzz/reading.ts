/** Feeds files to a reader process and keeps count; one that crashes or hangs is started again. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Outcome } from "./reader.ts";

/** Milliseconds that one file may take. */
export const hangLimit = 10_000;

export interface Tally {
  inputs: number;
  results: number;
  problems: number;
  crashes: number;
  hangs: number;
  /** Milliseconds of the slowest file. */
  slowest: number;
  /** Largest resident memory of the process, bytes. */
  memory: number;
}

export type Ending = Outcome | { end: "crash" | "hang" };

export class Reading implements AsyncDisposable {
  readonly tally: Tally = { inputs: 0, results: 0, problems: 0, crashes: 0, hangs: 0, slowest: 0, memory: 0 };
  #child: ChildProcess | null = null;

  async read(bytes: Buffer): Promise<Ending> {
    const child = await this.#running();
    const start = performance.now();
    const ending = await new Promise<Ending>((done) => {
      const finish = (value: Ending) => {
        clearTimeout(patience);
        child.removeAllListeners();
        done(value);
      };
      const patience = setTimeout(() => finish({ end: "hang" }), hangLimit);
      child.once("message", (message: { outcome: Outcome; memory: number }) => {
        this.tally.memory = Math.max(this.tally.memory, message.memory);
        finish(message.outcome);
      });
      child.once("exit", () => finish({ end: "crash" }));
      child.send({ bytes });
    });
    const { tally } = this;
    tally.inputs++;
    tally.slowest = Math.max(tally.slowest, performance.now() - start);
    if (ending.end === "result") tally.results++;
    else if (ending.end === "problem") tally.problems++;
    else {
      if (ending.end === "hang") tally.hangs++;
      else tally.crashes++;
      if (ending.end !== "error") await this.#stop();
    }
    return ending;
  }

  async #running(): Promise<ChildProcess> {
    if (this.#child !== null) return this.#child;
    const child = fork(new URL("./reader.ts", import.meta.url), { serialization: "advanced" });
    await once(child, "message");
    this.#child = child;
    return child;
  }

  async #stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}
