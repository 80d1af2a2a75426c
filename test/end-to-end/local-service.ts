/** `npm start` as a process, the way a person at a terminal has it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { OmniIml } from "@omni-iml/sdk";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const startPatience = 200_000;

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export class LocalService {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly runnerUrls: readonly string[];
  readonly #npm: ChildProcess;

  private constructor(npm: ChildProcess, found: { baseUrl: string; apiKey: string; runnerUrls: string[] }) {
    this.#npm = npm;
    this.baseUrl = found.baseUrl;
    this.apiKey = found.apiKey;
    this.runnerUrls = found.runnerUrls;
  }

  /** Ready when it resolves. */
  static async start(
    state: string,
    port: number,
    variables: NodeJS.ProcessEnv = {},
    options: readonly string[] = [],
  ): Promise<LocalService> {
    const npm = spawnNpmStart(state, port, variables, options);
    const output = collect(npm);
    // A test run that is broken off takes the stack with it.
    process.once("exit", () => npm.pid !== undefined && npm.exitCode === null && process.kill(-npm.pid, "SIGTERM"));
    const patience = setTimeout(() => npm.pid !== undefined && process.kill(-npm.pid, "SIGINT"), startPatience);
    const ready = new Promise<LocalService>((resolve, reject) => {
      npm.stdout?.on("data", () => {
        const line = /^ready: (\S+) {2}key: (\S+)$/m.exec(output.stdout);
        const runner = /^runner: (\S+)/m.exec(output.stdout);
        if (line?.[1] && line[2] && runner?.[1]) {
          resolve(new LocalService(npm, { baseUrl: line[1], apiKey: line[2], runnerUrls: runner[1].split(",") }));
        }
      });
      npm.once("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${output.stdout}${output.stderr}`)));
    });
    return ready.finally(() => clearTimeout(patience));
  }

  /** Starts what is expected to refuse, and waits for its end. */
  static async refused(state: string, port: number | string): Promise<Ended> {
    const npm = spawnNpmStart(state, port, {});
    const output = collect(npm);
    const [code] = await once(npm, "close");
    return { code, ...output };
  }

  get client(): OmniIml {
    return new OmniIml({ apiKey: this.apiKey, baseUrl: this.baseUrl });
  }

  /** A request with the key; `path` from the root. */
  fetch(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.apiKey}`, ...init.headers };
    return fetch(this.baseUrl + path, { ...init, headers });
  }

  /** Every process that descends from `npm start`, with its command line. */
  processes(): Map<number, string> {
    const table = processTable();
    const found = new Map<number, string>();
    const visit = (pid: number) => {
      for (const row of table) {
        if (row.parent !== pid || found.has(row.pid)) continue;
        found.set(row.pid, row.command);
        visit(row.pid);
      }
    };
    if (this.#npm.pid !== undefined) visit(this.#npm.pid);
    return found;
  }

  /** What Ctrl-C does: the signal to every process in the terminal's foreground group. */
  async interrupt(): Promise<void> {
    if (this.#npm.pid === undefined || this.#npm.exitCode !== null) return;
    const exit = once(this.#npm, "exit");
    process.kill(-this.#npm.pid, "SIGINT");
    await exit;
  }

  /** How many jobs the runners have ended, in whichever way. */
  async jobsEnded(): Promise<number> {
    const counts = await Promise.all(this.runnerUrls.map(jobsEndedBy));
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** How many jobs one runner has ended. */
export async function jobsEndedBy(runnerUrl: string): Promise<number> {
  const metrics = await (await fetch(`${runnerUrl}/metrics`)).text();
  const counts = [...metrics.matchAll(/^omni_runner_jobs_total\{[^}]*\} (\d+)$/gm)].map(([, count]) => Number(count));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Those of `pids` that still run; a process that has ended and waits to be reaped does not. */
export function alive(pids: Iterable<number>): string[] {
  const wanted = new Set(pids);
  return processTable()
    .filter(({ pid, state }) => wanted.has(pid) && !state.startsWith("Z"))
    .map(({ pid, command }) => `${pid} ${command}`);
}

/** All processes of this machine. */
export function processTable() {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid=,stat=,args="], { encoding: "utf8", maxBuffer: 2 ** 26 });
  return rows.split("\n").flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return state === undefined || command === undefined
      ? []
      : [{ pid: Number(pid), parent: Number(parent), state, command }];
  });
}

function spawnNpmStart(
  state: string,
  port: number | string,
  variables: NodeJS.ProcessEnv,
  options: readonly string[] = [],
): ChildProcess {
  return spawn("npm", ["start", "--", ...options], {
    cwd: repository,
    env: { ...process.env, ...variables, OMNI_IML_STATE: state, PORT: String(port) },
    // A process group of its own, as a shell gives to what it runs in the foreground.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return output;
}

/** A state folder that is gone after the test file. */
export async function temporaryState(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "omni-iml-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
