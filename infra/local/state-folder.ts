/** The folder that holds everything a local stack keeps: storage, database, secrets, logs, and who runs on it. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { LocalAccount } from "./local-account.ts";
import { StartupError } from "./startup-error.ts";
import { signalGroup } from "./supervised-process.ts";

const secretsSchema = z.object({
  /** Signs the edge's requests to the runner. */
  runner_secret: z.string().min(32),
  account_id: z.string(),
  api_key_id: z.string(),
  api_key: z.string(),
});
export type LocalSecrets = z.infer<typeof secretsSchema>;

const occupantsSchema = z.object({ starter: z.int(), groups: z.array(z.int()) });

export class StateFolder {
  readonly path: string;
  readonly logs: string;
  /** Of `wrangler --persist-to`. */
  readonly storage: string;
  readonly edgeEnvironment: string;
  #occupied = false;

  constructor(path: string) {
    this.path = resolve(path);
    this.logs = join(this.path, "logs");
    this.storage = join(this.path, "storage");
    this.edgeEnvironment = join(this.path, "edge.env");
    mkdirSync(this.logs, { recursive: true, mode: 0o700 });
  }

  /** The secrets kept from an earlier start, or new ones. */
  async secrets(newAccount: () => Promise<LocalAccount>): Promise<LocalSecrets> {
    const file = join(this.path, "secrets.json");
    if (existsSync(file)) {
      const kept = secretsSchema.safeParse(readJson(file));
      if (!kept.success) throw new StartupError(`${file} is damaged; remove it to get a new key`);
      return kept.data;
    }
    const secrets = { runner_secret: randomBytes(32).toString("base64url"), ...(await newAccount()) };
    writePrivate(file, JSON.stringify(secrets, null, 2));
    return secrets;
  }

  /** What the worker gets as variables: a file, because arguments show in the list of processes. */
  writeEdgeEnvironment(variables: Readonly<Record<string, string>>): void {
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`);
    writePrivate(this.edgeEnvironment, lines.join(""));
  }

  get #occupantsFile(): string {
    return join(this.path, "running.json");
  }

  /**
   * Takes the folder for this process. Throws where another start runs on it; ends what a start that was killed
   * has left running on it.
   */
  async occupy(): Promise<void> {
    const left = existsSync(this.#occupantsFile) ? occupantsSchema.safeParse(readJson(this.#occupantsFile)) : undefined;
    if (left?.success && left.data.starter !== process.pid && commandOf(left.data.starter).includes("infra/local/")) {
      throw new StartupError(`${this.path} is in use by process ${left.data.starter}; end it, or set OMNI_IML_STATE`);
    }
    for (const group of left?.data?.groups ?? []) {
      const command = commandOf(group);
      if (!command.includes(this.path) && !/gpu-runner\/|egress-proxy\//.test(command)) continue;
      signalGroup(group, "SIGKILL");
      // Its port is free only once it is gone; an init that does not reap it leaves it `<defunct>`.
      while (commandOf(group).includes("/")) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#occupied = true;
    this.noteGroups([]);
  }

  /** Remembers the process groups of this start, for the next one should this one be killed. */
  noteGroups(groups: readonly number[]): void {
    writePrivate(this.#occupantsFile, JSON.stringify({ starter: process.pid, groups }));
  }

  release(): void {
    if (this.#occupied) rmSync(this.#occupantsFile, { force: true });
  }
}

/** The command line of a process; empty when it is not there. */
function commandOf(pid: number): string {
  try {
    return execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    // `ps` ends with 1 where there is no such process.
    return "";
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new StartupError(`${file} cannot be read; remove it and start again`, { cause });
  }
}

function writePrivate(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}
