/** A child process in a process group of its own: logged to a file, started again when it dies, ended with all it started. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";

const firstDelay = 500;
const longestDelay = 30_000;
/** A child that ran this long was well: its next death starts the back-off anew. */
const healthyAfter = 60_000;

export interface ProcessSpec {
  name: string;
  /** For the running Node: a script and its arguments. */
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** It has one thing to do and is not started again. */
  once: boolean;
  /** Called with one line whenever the child dies unasked, and before it is started again. */
  report: (line: string) => void;
  /** Called after each new start. */
  started: () => void;
}

export class SupervisedProcess {
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #restart: NodeJS.Timeout | undefined;
  #stopping = false;
  #deaths = 0;
  #startedAt = 0;
  readonly #end = Promise.withResolvers<string>();

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
    this.#spawn();
  }

  /** Also the id of its process group; undefined between a death and the next start. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** How a child that runs once has ended: `exit 0`, or another code, or a signal. */
  get end(): Promise<string> {
    return this.#end.promise;
  }

  get deaths(): number {
    return this.#deaths;
  }

  /** The end of its log, for the report of a failed start. */
  async lastLines(count = 12): Promise<string> {
    const text = await readFile(this.#spec.logFile, "utf8");
    return text.trimEnd().split("\n").slice(-count).join("\n");
  }

  #spawn(): void {
    const { args, cwd, env, logFile } = this.#spec;
    const log = openSync(logFile, "a", 0o600);
    this.#startedAt = Date.now();
    const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    const ended = (reason: string) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
      if (this.#spec.once) this.#end.resolve(reason);
      else if (!this.#stopping) this.#died(reason);
    };
    child.once("error", (error) => ended(error.message));
    child.once("exit", (code, signal) => ended(signal ?? `exit ${code}`));
  }

  #died(reason: string): void {
    if (Date.now() - this.#startedAt > healthyAfter) this.#deaths = 0;
    const delay = Math.min(longestDelay, firstDelay * 2 ** this.#deaths);
    this.#deaths++;
    this.#spec.report(
      `${this.#spec.name} ended (${reason}), starting it again in ${delay / 1000} s; its log is ${this.#spec.logFile}`,
    );
    this.#restart = setTimeout(() => {
      this.#spawn();
      this.#spec.started();
    }, delay);
  }

  /** Asks the child to end, waits up to `grace` ms, and ends whatever of its group is left then. */
  async stop(grace: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child?.pid === undefined) return;
    const { pid } = child;
    const exit = once(child, "exit");
    // Only the child itself: how its own children end is its business while it has the time.
    child.kill("SIGTERM");
    const patience = setTimeout(() => signalGroup(pid, "SIGKILL"), grace);
    await exit;
    clearTimeout(patience);
    signalGroup(pid, "SIGKILL");
  }
}

/** Signals every process of a group; false where there is none left. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}
