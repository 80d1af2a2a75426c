/** Programs that a bench starts, and what they cost. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export class Program implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(
    command: string,
    parameters: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    folder?: string,
  ) {
    this.process = spawn(command, parameters, {
      ...(folder === undefined ? {} : { cwd: folder }),
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "inherit"],
      // A group of its own, so that what it starts itself ends with it.
      detached: true,
    });
    const { stdout } = this.process;
    if (stdout === null) throw new Error("the program has no standard output");
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
  }

  /** The first line that `find` makes something of. */
  async lineWith<Found>(find: (line: string) => Found | null): Promise<Found> {
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done) throw new Error(`${this.process.spawnargs.join(" ")} has ended`);
      const found = find(value);
      if (found !== null) return found;
    }
  }

  /** Seconds of processor time of it and all that it started. */
  get processorSeconds(): number {
    return this.#family().reduce((sum, pid) => sum + processorSecondsOf(pid), 0);
  }

  /** Largest resident memory, in bytes, that any process of its family has had so far. */
  get peakMemory(): number {
    return Math.max(...this.#family().map((pid) => Number(field(pid, "status", /^VmHWM:\s+(\d+) kB$/m)) * 1024));
  }

  #family(): number[] {
    const root = this.process.pid ?? 0;
    const family = [root];
    const parents = new Map(
      readdirSync("/proc").flatMap((name) => {
        const pid = Number(name);
        return Number.isInteger(pid) ? [[pid, Number(field(pid, "status", /^PPid:\s+(\d+)$/m))] as const] : [];
      }),
    );
    for (const pid of family) {
      for (const [child, parent] of parents) if (parent === pid) family.push(child);
    }
    return family;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { process: child } = this;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const exited = once(child, "exit");
    process.kill(-child.pid, "SIGTERM");
    const patience = setTimeout(() => killGroup(child.pid ?? 0), 10_000);
    await exited;
    clearTimeout(patience);
    // What it started may outlive it, and would take its cores from what is measured next.
    killGroup(child.pid);
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Of a file below /proc/PID; "0" where the process has just ended. */
function field(pid: number, file: string, pattern: RegExp): string {
  try {
    return pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? "0";
  } catch {
    return "0";
  }
}

/** The fields of proc(5)'s stat from the third one on; the second, in brackets, may hold spaces. */
function statOf(pid: number): string[] {
  return field(pid, "stat", /^\d+ \(.*\) (.*)$/s).split(" ");
}

/** Seconds of processor time that a process has had. */
export function processorSecondsOf(pid: number): number {
  // Fields 14 and 15, in ticks of 10 ms.
  const rest = statOf(pid);
  return (Number(rest[11] ?? 0) + Number(rest[12] ?? 0)) / 100;
}

/** The process group of a process. */
export function groupOf(pid: number): number {
  return Number(statOf(pid)[2] ?? 0);
}

/** Resident memory of a process, in bytes. */
export function residentMemoryOf(pid: number): number {
  return Number(field(pid, "status", /^VmRSS:\s+(\d+) kB$/m)) * 1024;
}
