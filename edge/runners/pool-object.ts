/**
 * The pool of this deployment's runners: one object, because what one analysis learns of a runner all others should know
 * at once, and because load is what everybody together has sent there. An answer costs a few milliseconds beside an
 * analysis of seconds; whoever cannot reach it goes on without (analysis/runner.ts).
 *
 * What it knows is lost with it and learnt anew within a job or two.
 */
import { DurableObject } from "cloudflare:workers";
import type { Environment } from "../environment.ts";
import { log } from "../log.ts";
import { count, handOnSoon } from "../telemetry/metrics.ts";
import { type CallEnd, type Choice, Pool, type PoolJob } from "./pool.ts";

/** Milliseconds a runner has to say that it is well. */
const probePatience = 3_000;

export class RunnerPoolObject extends DurableObject<Environment> {
  #pool: Pool | null = null;

  choose(urls: readonly string[], job: PoolJob, tried: readonly string[]): Choice {
    return this.#of(urls).choose(job, tried, Date.now());
  }

  async ended(urls: readonly string[], job: PoolJob, url: string, end: CallEnd): Promise<void> {
    const pool = this.#of(urls);
    const wasOpen = pool.isOpen(url);
    pool.ended(job, url, end, Date.now());
    count("omni_edge_runner_calls_total", { runner: new URL(url).host, end: end.kind });
    if (!wasOpen && pool.isOpen(url)) {
      count("omni_edge_runner_circuits_total", { runner: new URL(url).host, turn: "opened" });
      log("warn", "a runner gets no more jobs until it is well", { runner: url, end: end.kind });
    }
    handOnSoon(this.env, (work) => this.ctx.waitUntil(work));
    await this.#arm(pool);
  }

  override async alarm(): Promise<void> {
    const pool = this.#pool;
    // One that was lost between the doubt and the probe doubts nobody.
    if (pool === null) return;
    try {
      await Promise.all(pool.takeProbes(Date.now()).map((url) => this.#probe(pool, url)));
    } finally {
      await this.#arm(pool);
    }
  }

  #of(urls: readonly string[]): Pool {
    this.#pool ??= new Pool(urls);
    return this.#pool;
  }

  async #probe(pool: Pool, url: string): Promise<void> {
    let well = false;
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(probePatience) });
      await response.body?.cancel();
      well = response.ok;
    } catch (error) {
      log("info", "a runner is still not well", { runner: url, error });
    }
    pool.probed(url, well, Date.now());
    if (!well) return;
    count("omni_edge_runner_circuits_total", { runner: new URL(url).host, turn: "closed" });
    log("info", "a runner is well again", { runner: url });
  }

  async #arm(pool: Pool): Promise<void> {
    const next = pool.nextProbe();
    if (next !== null) await this.ctx.storage.setAlarm(next);
  }
}

/** The pool of these runners. Named after them: of two deployments side by side each has the one of its own list. */
export function poolOf(env: Environment, urls: readonly string[]) {
  return env.RUNNERS.getByName(urls.join());
}
