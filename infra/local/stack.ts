/**
 * The whole system on this machine: a GPU runner or several on the CPU provider, the egress proxy, and the edge worker in
 * `wrangler dev` with its storage, database, objects and queues. Nothing but what the proxy fetches leaves the loopback
 * interface.
 */
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "@omni-iml/shared/message-of";
import { buildPlayground } from "../../edge/playground/build.ts";
import { edgeVariables } from "./edge-variables.ts";
import { type LocalAccount, newLocalAccount, seedStatement } from "./local-account.ts";
import { requireRelease } from "./model-release.ts";
import { freePort, requirePort } from "./ports.ts";
import { step } from "./progress.ts";
import { StartupError } from "./startup-error.ts";
import type { LocalSecrets, StateFolder } from "./state-folder.ts";
import { SupervisedProcess, signalGroup } from "./supervised-process.ts";

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const wranglerPackage = createRequire(import.meta.url).resolve("wrangler/package.json");
const wrangler = join(dirname(wranglerPackage), "bin/wrangler.js");
const database = "omni-iml";

/** Milliseconds a child has for its first "ready", model warm-up on a busy machine included. */
const readyPatience = 150_000;
/** Seconds for which a stopping runner lets analyses end. They could not store their results: the edge stops as well. */
const drainSeconds = 1;
/** Milliseconds a child has to end by itself. */
const stopGrace = 8_000;

export interface StackConfig {
  port: number;
  /** Which addresses of this machine the API listens at; loopback by default. */
  host?: string;
  state: StateFolder;
  /** Takes one line about a child that died. */
  report: (line: string) => void;
  /**
   * How many runners are started here, or the base addresses of those that run already, with the secret of `state` or `runnerSecret`;
   * one by default.
   */
  runners?: number | readonly string[];
  runnerSecret?: string;
  /** An egress proxy that runs already; without it one is started here. */
  egress?: { url: string; secret: string };
  /** Where clients and runners reach the storage, if not directly. */
  storageEndpoint?: string;
}

export class LocalStack {
  readonly baseUrl: string;
  readonly #config: StackConfig;
  readonly #processes: SupervisedProcess[] = [];
  #runnerUrls: readonly string[] = [];
  // Both who sign with it and who verify are started together, so it need not outlive them.
  readonly #egress: { url: string; secret: string };

  constructor(config: StackConfig) {
    this.#config = config;
    this.#egress = config.egress ?? { url: "", secret: randomBytes(32).toString("base64url") };
    this.baseUrl = `http://127.0.0.1:${config.port}`;
    // However this process ends, short of being killed itself, nothing that it started outlives it.
    process.once("exit", () => {
      for (const { pid } of this.#processes) if (pid !== undefined) signalGroup(pid, "SIGKILL");
    });
  }

  get runnerUrls(): readonly string[] {
    return this.#runnerUrls;
  }

  /** The process groups of the stack that run now, by name: `edge`, `egress-proxy`, `gpu-runner`, `gpu-runner-2` … */
  get processGroups(): ReadonlyMap<string, number> {
    return new Map(this.#processes.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid] as const])));
  }

  /** Ready to analyse when it resolves; answers the key of the local account. Throws {@link StartupError}. */
  async start(): Promise<{ apiKey: string }> {
    const { port, state } = this.#config;
    await requireRelease(join(repository, "model/release"));
    await state.occupy();
    await requirePort(port);
    const secrets = await state.secrets(newLocalAccount);

    // The runners warm their model while the database is made ready.
    const runners = await this.#startRunners(secrets);
    const egress = this.#config.egress === undefined ? await this.#startEgressProxy() : null;
    await step("database", () => this.#prepareDatabase(secrets));
    await step("playground", buildPlayground);
    const edge = await this.#startEdge(secrets);
    for (const { child, url } of runners) {
      await step(`${child.name} (CPU provider)`, () => this.#ready(child, `${url}/readyz`));
    }
    if (egress) await step("egress proxy", () => this.#ready(egress, `${this.#egress.url}/healthz`));
    await step("edge worker", () => this.#ready(edge, `${this.baseUrl}/readyz`));
    return { apiKey: secrets.api_key };
  }

  /** Ends every process of the stack. What was accepted goes on after the next start. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.stop(stopGrace)));
    this.#config.state.release();
  }

  #spawn(name: string, args: string[], env: NodeJS.ProcessEnv, once = false): SupervisedProcess {
    const { state, report } = this.#config;
    const child = new SupervisedProcess({
      name,
      args,
      env,
      once,
      cwd: repository,
      logFile: join(state.logs, `${name}.log`),
      report,
      started: () => this.#noteProcesses(),
    });
    this.#processes.push(child);
    this.#noteProcesses();
    return child;
  }

  #noteProcesses(): void {
    this.#config.state.noteGroups(this.#processes.flatMap(({ pid }) => pid ?? []));
  }

  async #startRunners(secrets: LocalSecrets): Promise<{ child: SupervisedProcess; url: string }[]> {
    const { runners = 1 } = this.#config;
    if (typeof runners !== "number") {
      this.#runnerUrls = runners;
      return [];
    }
    const started: { child: SupervisedProcess; url: string }[] = [];
    // They share the machine: each with all of its threads would only get into the others' way.
    const threads = runners > 1 ? { THREADS: String(Math.max(1, Math.floor(availableParallelism() / runners))) } : {};
    for (let number = 1; number <= runners; number++) {
      const port = await freePort();
      const child = this.#spawn(number === 1 ? "gpu-runner" : `gpu-runner-${number}`, ["gpu-runner/main.ts"], {
        ...threads,
        ...process.env,
        PORT: String(port),
        HOST: "127.0.0.1",
        PROVIDER: "cpu",
        RUNNER_SECRET: secrets.runner_secret,
        DRAIN_SECONDS: String(drainSeconds),
      });
      started.push({ child, url: `http://127.0.0.1:${port}` });
    }
    this.#runnerUrls = started.map(({ url }) => url);
    return started;
  }

  /** What its environment says about loopback, EGRESS_ALLOW_LOOPBACK, is for whoever types `npm start` to decide. */
  async #startEgressProxy(): Promise<SupervisedProcess> {
    const port = await freePort();
    this.#egress.url = `http://127.0.0.1:${port}`;
    return this.#spawn("egress-proxy", ["infra/egress-proxy/main.ts"], {
      ...process.env,
      PORT: String(port),
      HOST: "127.0.0.1",
      EGRESS_PROXY_SECRET: this.#egress.secret,
    });
  }

  async #startEdge(secrets: LocalSecrets): Promise<SupervisedProcess> {
    const { port, state, host = "127.0.0.1" } = this.#config;
    state.writeEdgeEnvironment(
      edgeVariables({
        runnerUrls: this.#runnerUrls,
        runnerSecret: this.#config.runnerSecret ?? secrets.runner_secret,
        egressUrl: this.#egress.url,
        egressSecret: this.#egress.secret,
        storageEndpoint: this.#config.storageEndpoint ?? `${this.baseUrl}/cdn-cgi/local/r2/s3`,
      }),
    );
    const args = ["dev", "--ip", host, "--port", String(port), "--inspector-port", String(await freePort())];
    return this.#spawn(
      "edge",
      [wrangler, ...args, "--persist-to", state.storage, "--env-file", state.edgeEnvironment],
      this.#wranglerEnvironment(),
    );
  }

  async #prepareDatabase(account: LocalAccount): Promise<void> {
    const { storage } = this.#config.state;
    const local = ["--local", "--persist-to", storage];
    await this.#wranglerOnce(["d1", "migrations", "apply", database, ...local]);
    // Beside the database, so that whoever removes the one removes the other.
    const seeded = join(storage, `operator-${account.account_id}`);
    if (existsSync(seeded)) return;
    await this.#wranglerOnce(["d1", "execute", database, ...local, "--command", await seedStatement(account, "local")]);
    writeFileSync(seeded, "");
  }

  async #wranglerOnce(args: string[]): Promise<void> {
    const child = this.#spawn("database", [wrangler, ...args], this.#wranglerEnvironment(), true);
    const reason = await child.end;
    if (reason === "exit 0") return;
    throw new StartupError(`wrangler ${args.slice(0, 3).join(" ")} failed (${reason}):\n${await child.lastLines()}`);
  }

  /**
   * Offline, without questions, and with its own files inside the state folder. Without wrangler's tools for developers:
   * one writes a trace of every step, addresses included, to the disk, keeps it after the analysis was erased and takes
   * more time than the steps themselves; the other shows database, objects and storage to whoever reaches the port.
   *
   * Its runtime frees what a request had outside of JavaScript's heap only in a collection of everything, which a small
   * heap hardly ever has: without `--gc-global` its memory grows with every request.
   */
  #wranglerEnvironment(): NodeJS.ProcessEnv {
    const { path, logs } = this.#config.state;
    return {
      ...process.env,
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_LOG_PATH: logs,
      WRANGLER_REGISTRY_PATH: join(path, "registry"),
      X_LOCAL_OBSERVABILITY: "false",
      X_LOCAL_EXPLORER: "false",
      MINIFLARE_WORKERD_V8_FLAGS: "--gc-global",
      NO_COLOR: "1",
    };
  }

  async #ready(child: SupervisedProcess, url: string): Promise<void> {
    const deadline = Date.now() + readyPatience;
    let last = "";
    while (Date.now() < deadline) {
      // Once may be bad luck: another program can take a port between its choice and its use.
      if (child.deaths > 1) throw new StartupError(`${child.name} ended at once, twice:\n${await child.lastLines()}`);
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
        last = `${response.status} ${(await response.text()).slice(0, 300)}`;
        if (response.ok) return;
      } catch (error) {
        // Not listening yet.
        last = messageOf(error);
      }
      await new Promise((wait) => setTimeout(wait, 150));
    }
    throw new StartupError(
      `${child.name} is not ready after ${readyPatience / 1000} s (${last}):\n${await child.lastLines()}`,
    );
  }
}
