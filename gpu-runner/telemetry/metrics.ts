/** Prometheus metrics, counted where the decisions fall. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface Levels {
  readonly waiting: () => number;
  readonly running: () => number;
  readonly waitingPixels: () => number;
  readonly admittedPixels: () => number;
  readonly pixelsPerSecond: () => number;
  readonly ready: () => boolean;
  /** Of the inference process. */
  readonly memoryBytes: () => Promise<number>;
  /** Of the GPU, all processes; null without one. */
  readonly deviceMemoryBytes: () => Promise<{ used: number; total: number } | null>;
}

export class Telemetry {
  readonly registry = new Registry();
  readonly #jobs = new Counter({
    name: "omni_runner_jobs_total",
    help: "Jobs by how they ended, at the door or later: succeeded, withdrawn, or the problem's code.",
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

  readonly #batches = new Histogram({
    name: "omni_runner_batch_tiles",
    help: "Tiles in one run of the session.",
    buckets: [1, 2, 4, 8, 16, 32],
    registers: [this.registry],
  });
  readonly #runs = new Histogram({
    name: "omni_runner_batch_seconds",
    help: "Time of one run of the session.",
    buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: [this.registry],
  });
  readonly #tileWait = new Histogram({
    name: "omni_runner_tile_wait_seconds",
    help: "Mean time that the tiles of a batch had waited for it.",
    buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Gauges that are read when they are asked for. */
  observe(levels: Levels): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    gauge("omni_runner_waiting_jobs", "Admitted jobs that wait for the inference process.", levels.waiting);
    gauge("omni_runner_running_jobs", "Jobs that the inference process has in hand.", levels.running);
    gauge("omni_runner_queue_pixels", "Pixels of the jobs that wait for the inference process.", levels.waitingPixels);
    gauge("omni_runner_pixels", "Pixels of all admitted jobs.", levels.admittedPixels);
    gauge("omni_runner_pixels_per_second", "Measured speed, while there is work.", levels.pixelsPerSecond);
    gauge("omni_runner_ready", "1 when the model is loaded and warm.", () => (levels.ready() ? 1 : 0));
    gauge("omni_runner_inference_memory_bytes", "Resident memory of the inference process.", levels.memoryBytes);
    new Gauge({
      name: "omni_runner_device_memory_bytes",
      help: "Memory of the GPU, by kind: used (by whatever process) and total.",
      labelNames: ["kind"],
      registers,
      async collect() {
        const memory = await levels.deviceMemoryBytes();
        if (memory === null) return;
        this.set({ kind: "used" }, memory.used);
        this.set({ kind: "total" }, memory.total);
      },
    });
  }

  ended(outcome: string): void {
    this.#jobs.inc({ outcome });
  }

  crashed(): void {
    this.#crashes.inc();
  }

  finished(timings: Readonly<Record<string, number>>, pixels: number): void {
    for (const [stage, milliseconds] of Object.entries(timings)) this.#stages.observe({ stage }, milliseconds / 1000);
    this.#megapixels.inc(pixels / 1e6);
  }

  batch({ tiles, took, waited }: { tiles: number; took: number; waited: number }): void {
    this.#batches.observe(tiles);
    this.#runs.observe(took / 1000);
    this.#tileWait.observe(waited / tiles / 1000);
  }
}
