/** What the processes of a local stack take: resident memory over time, and processor time. */
import type { LocalStack } from "../../infra/local/stack.ts";
import { groupOf, processorSecondsOf, residentMemoryOf } from "../bench/runner/processes.ts";
import { processTable } from "../end-to-end/local-service.ts";

export interface MemorySample {
  /** Milliseconds of `performance.now()`. */
  at: number;
  /** Bytes, by part of the stack. */
  parts: ReadonlyMap<string, number>;
}

/** Milliseconds between samples. */
const interval = 5_000;

/** Parts of the stack by the command line of a process; the first that fits. */
const parts: readonly (readonly [part: string, command: string])[] = [
  ["worker (workerd)", "--inspector-addr"],
  ["wrangler's proxy (workerd)", "workerd serve"],
  ["inference process", "inference/child"],
  ["runner", "gpu-runner/main"],
  ["egress proxy", "egress-proxy/main"],
];

export class Watch implements Disposable {
  readonly samples: MemorySample[] = [];
  readonly #stack: LocalStack;
  readonly #timer: NodeJS.Timeout;

  constructor(stack: LocalStack) {
    this.#stack = stack;
    this.#timer = setInterval(() => this.#sample(), interval);
  }

  /** Seconds of processor time that all processes of the stack have had so far. */
  get processorSeconds(): number {
    return this.#processes().reduce((sum, { pid }) => sum + processorSecondsOf(pid), 0);
  }

  #processes(): { pid: number; command: string }[] {
    const groups = new Set(this.#stack.processGroups.values());
    return processTable().filter(({ pid }) => groups.has(groupOf(pid)));
  }

  #sample(): void {
    const found = new Map<string, number>();
    for (const { pid, command } of this.#processes()) {
      const part = parts.find(([, words]) => command.includes(words))?.[0];
      if (part !== undefined) found.set(part, (found.get(part) ?? 0) + residentMemoryOf(pid));
    }
    this.samples.push({ at: performance.now(), parts: found });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
