/** Prometheus metrics, counted where the decisions fall. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Seconds per megapixel before anything has been measured. */
const firstGuess = 1;
/** Weight of the newest measurement in the running mean. */
const freshness = 0.2;

export interface Levels {
  readonly waiting: () => number;
  readonly running: () => number;
  readonly pixels: () => number;
  readonly ready: () => boolean;
}

export class Telemetry {
  readonly registry = new Registry();
  readonly #jobs = new Counter({
    name: "omni_runner_jobs_total",
    help: "Jobs by how they ended: succeeded, withdrawn, or the problem's code.",
    labelNames: ["outcome"],
    registers: [this.registry],
  });
  readonly #stages = new Histogram({
    name: "omni_runner_stage_seconds",
    help: "Time of each stage of a job that succeeded.",
    labelNames: ["stage"],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers: [this.registry],
  });
  readonly #megapixels = new Counter({
    name: "omni_runner_megapixels_total",
    help: "Megapixels analysed.",
    registers: [this.registry],
  });
  readonly #crashes = new Counter({
    name: "omni_runner_inference_crashes_total",
    help: "Unexpected ends of the inference process.",
    registers: [this.registry],
  });
  #secondsPerMegapixel = firstGuess;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Gauges that are read when they are asked for. */
  observe({ waiting, running, pixels, ready }: Levels): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    gauge("omni_runner_waiting_jobs", "Admitted jobs that wait for the inference process.", waiting);
    gauge("omni_runner_running_jobs", "Jobs that the inference process has in hand.", running);
    gauge("omni_runner_pixels", "Pixels of all admitted jobs.", pixels);
    gauge("omni_runner_ready", "1 when the model is loaded and warm.", () => (ready() ? 1 : 0));
  }

  ended(outcome: string): void {
    this.#jobs.inc({ outcome });
  }

  crashed(): void {
    this.#crashes.inc();
  }

  finished(timings: Readonly<Record<string, number>>, pixels: number): void {
    for (const [stage, milliseconds] of Object.entries(timings)) this.#stages.observe({ stage }, milliseconds / 1000);
    const megapixels = pixels / 1e6;
    this.#megapixels.inc(megapixels);
    const worked = ((timings["decode"] ?? 0) + (timings["inference"] ?? 0) + (timings["encode"] ?? 0)) / 1000;
    this.#secondsPerMegapixel += freshness * (worked / megapixels - this.#secondsPerMegapixel);
  }

  /** Whole seconds in which so many pixels should be done; for `Retry-After`. */
  secondsFor(pixels: number): number {
    return Math.min(60, Math.max(1, Math.ceil((pixels / 1e6) * this.#secondsPerMegapixel)));
  }
}
