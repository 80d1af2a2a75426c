/** The local stack with everything that tests make go wrong: runners, storage and receiver are theirs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createdWebhookEndpoint } from "@omni-iml/shared/webhooks";
import { newLocalAccount } from "../../infra/local/local-account.ts";
import { freePort } from "../../infra/local/ports.ts";
import { LocalStack, repository } from "../../infra/local/stack.ts";
import { StateFolder } from "../../infra/local/state-folder.ts";
import { signalGroup } from "../../infra/local/supervised-process.ts";
import { processTable } from "../end-to-end/local-service.ts";
import type { RunnerBehaviour } from "./runner-behaviour.ts";
import { StorageProxy } from "./storage-proxy.ts";
import { WebhookReceiver } from "./webhook-receiver.ts";

interface StandIn {
  port: number;
  child: ChildProcess;
}

/** Two endpoints of the account. */
export const endpointPaths = ["/first", "/second"] as const;

export class FaultyStack implements AsyncDisposable {
  apiKey = "";
  readonly stack: LocalStack;
  readonly storage: StorageProxy;
  readonly receiver: WebhookReceiver;
  readonly #standIns: StandIn[];
  readonly #secret: string;

  private constructor(parts: {
    stack: LocalStack;
    storage: StorageProxy;
    receiver: WebhookReceiver;
    standIns: StandIn[];
    secret: string;
  }) {
    this.stack = parts.stack;
    this.storage = parts.storage;
    this.receiver = parts.receiver;
    this.#standIns = parts.standIns;
    this.#secret = parts.secret;
    process.once("exit", () => {
      for (const { child } of this.#standIns) child.kill("SIGKILL");
    });
  }

  /** Ready when it resolves. `runners`: so many stand-ins; 0: the real one, with the model. */
  static async start(folder: string, runners: number, more: StandInLimits = {}): Promise<FaultyStack> {
    // What the stack's processes take over from this one's environment.
    process.env["EGRESS_ALLOW_LOOPBACK"] = "1";
    process.env["WEBHOOK_RETRY_S"] ??= "1,1,2,2,4,4,8,8,15,15,30,30,60,60";
    process.env["WEBHOOK_TIMEOUT_S"] ??= "10";
    const state = new StateFolder(folder);
    const { runner_secret: secret } = await state.secrets(newLocalAccount);
    const port = await freePort();
    const storage = await StorageProxy.start(port);
    const standIns: StandIn[] = [];
    for (let n = 0; n < runners; n++) {
      const runnerPort = await freePort();
      standIns.push({ port: runnerPort, child: spawnStandIn(runnerPort, secret, more) });
    }
    const stack = new LocalStack({
      port,
      state,
      report: (line) => process.stderr.write(`  ${line}\n`),
      storageEndpoint: storage.endpoint,
      ...(runners === 0 ? {} : { runners: standIns.map((one) => `http://127.0.0.1:${one.port}`) }),
    });
    const whole = new FaultyStack({ stack, storage, receiver: await WebhookReceiver.start(), standIns, secret });
    whole.apiKey = (await stack.start()).apiKey;
    for (const path of endpointPaths) {
      const url = whole.receiver.url(path);
      const made = await whole.fetch("/v1/webhook-endpoints", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ url }),
      });
      whole.receiver.secrets.set(path, createdWebhookEndpoint.parse(await made.json()).secret);
    }
    return whole;
  }

  /** A request with the key. */
  fetch(path: string, init: RequestInit & { headers?: Record<string, string>; key?: string } = {}): Promise<Response> {
    const { key = this.apiKey, ...rest } = init;
    return fetch(this.stack.baseUrl + path, {
      ...rest,
      headers: { authorization: `Bearer ${key}`, ...init.headers },
    });
  }

  /** kill -9 of a whole process group of the stack, which its supervisor starts again. */
  kill(name: "edge" | "egress-proxy" | "gpu-runner"): void {
    const group = this.stack.processGroups.get(name);
    if (group === undefined) throw new Error(`${name} does not run`);
    signalGroup(group, "SIGKILL");
  }

  /** kill -9 of the real runner's inference process. */
  killInference(): void {
    const runner = this.stack.processGroups.get("gpu-runner");
    const child = processTable().find(
      ({ parent, command }) => parent === runner && command.includes("inference/child"),
    );
    if (child === undefined) throw new Error("there is no inference process");
    process.kill(child.pid, "SIGKILL");
  }

  /** kill -9 of the first `count` stand-in runners; `revive` starts them again, at the same addresses. */
  async killRunners(count: number): Promise<void> {
    for (const { child } of this.#standIns.slice(0, count)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
  }

  revive(): void {
    for (const one of this.#standIns) {
      if (one.child.exitCode !== null || one.child.signalCode !== null) {
        one.child = spawnStandIn(one.port, this.#secret, {});
      }
    }
  }

  async behave(behaviour: RunnerBehaviour): Promise<void> {
    const body = JSON.stringify(behaviour);
    await Promise.all(
      this.#standIns.map(({ port }) => fetch(`http://127.0.0.1:${port}/behaviour`, { method: "PUT", body })),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.stop();
    await this.killRunners(this.#standIns.length);
    await this.storage[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
  }
}

export interface StandInLimits {
  slots?: number;
  serviceMs?: number;
}

function spawnStandIn(port: number, secret: string, { slots = 16, serviceMs = 20 }: StandInLimits): ChildProcess {
  return spawn(process.execPath, ["test/faults/stand-in-runner.ts"], {
    cwd: repository,
    env: {
      ...process.env,
      PORT: String(port),
      RUNNER_SECRET: secret,
      SLOTS: String(slots),
      SERVICE_MS: String(serviceMs),
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
}
