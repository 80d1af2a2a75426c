/** What `/metrics` says, and that README.md of this folder says the same. */
import { readFileSync } from "node:fs";
import { stages } from "@omni-iml/shared/inference";
import { expect, it } from "vitest";
import { Telemetry } from "./metrics.ts";

const page = readFileSync(new URL("README.md", import.meta.url), "utf8");

function observed(): Telemetry {
  const telemetry = new Telemetry();
  telemetry.observe({
    waiting: () => 3,
    running: () => 2,
    waitingPixels: () => 3e6,
    admittedPixels: () => 5e6,
    pixelsPerSecond: () => 2e6,
    ready: () => true,
    memoryBytes: async () => 4e8,
    deviceMemoryBytes: async () => ({ used: 1e9, total: 8e9 }),
  });
  return telemetry;
}

it("is what the page lists, name for name", async () => {
  const own = observed()
    .registry.getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => name.startsWith("omni_"));
  expect(new Set(page.match(/omni_runner_\w+/g))).toEqual(new Set(own));
});

it("has a time for every stage of a job, under the names that the page gives", () => {
  const row = page.split("\n").find((line) => line.includes("omni_runner_stage_seconds")) ?? "";
  const named = [...row.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  const wanted = [...stages.map((stage) => (stage === "queued" ? "queue" : stage)), "language_model", "total"];
  expect(named.toSorted()).toEqual(wanted.toSorted());
});

it("tells the queue in pixels, waits, batches, stages, errors by code, and memory of process and GPU", async () => {
  const telemetry = observed();
  telemetry.finished({ queue: 120, decode: 40, total: 900 }, 2.5e6);
  telemetry.batch({ tiles: 4, took: 200, waited: 80 });
  telemetry.ended("image_corrupt");
  telemetry.ended("image_corrupt");
  telemetry.crashed();
  const lines = (await telemetry.registry.metrics()).split("\n");
  for (const line of [
    "omni_runner_queue_pixels 3000000",
    "omni_runner_pixels 5000000",
    "omni_runner_pixels_per_second 2000000",
    "omni_runner_waiting_jobs 3",
    "omni_runner_running_jobs 2",
    "omni_runner_ready 1",
    'omni_runner_stage_seconds_sum{stage="queue"} 0.12',
    'omni_runner_stage_seconds_sum{stage="decode"} 0.04',
    "omni_runner_megapixels_total 2.5",
    "omni_runner_batch_tiles_sum 4",
    "omni_runner_batch_seconds_sum 0.2",
    "omni_runner_tile_wait_seconds_sum 0.02",
    'omni_runner_jobs_total{outcome="image_corrupt"} 2',
    "omni_runner_inference_crashes_total 1",
    "omni_runner_inference_memory_bytes 400000000",
    'omni_runner_device_memory_bytes{kind="used"} 1000000000',
    'omni_runner_device_memory_bytes{kind="total"} 8000000000',
  ]) {
    expect(lines).toContain(line);
  }
});
