/** What the routes say while the inference process comes, goes and cannot be kept up, with a process in its place. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { newId } from "@omni-iml/shared/ids";
import { problemDocument } from "@omni-iml/shared/problems";
import { signedHeaders } from "@omni-iml/shared/signature";
import { pino } from "pino";
import { expect, it } from "vitest";
import { InferenceProcess } from "../inference/process.ts";
import { Admission } from "../jobs/admission.ts";
import { Budget } from "../jobs/budget.ts";
import { loadRelease } from "../release.ts";
import { ReportMaker } from "../report/report-maker.ts";
import { Telemetry } from "../telemetry/metrics.ts";
import { Tracing } from "../telemetry/tracing.ts";
import { secret } from "../testing/caller.ts";
import { createApplication } from "./application.ts";
import type { InferRoom } from "./infer.ts";

const { manifest } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const log = pino({ level: "silent" });

it("loading, draining and failing are no readiness, and jobs are sent elsewhere with the time to come back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "omni-iml-routes-"));
  const modelFile = join(folder, "model");
  writeFileSync(modelFile, "well");
  const inference = new InferenceProcess(
    {
      modelFile,
      interpretationFile: null,
      manifest,
      provider: "cpu",
      threads: 1,
      imageThreads: 1,
      deviceMemory: null,
      maxPixels: 1e6,
      largestBatch: 1,
      trustAnchors: null,
    },
    log,
    { crashed: () => undefined, ready: () => undefined, batch: () => undefined },
    new URL("../testing/inference-process.ts", import.meta.url),
  );
  let open = false;
  const room: InferRoom = {
    manifest,
    provider: "cpu",
    inference,
    languageModel: null,
    reports: new ReportMaker(),
    admission: new Admission(1e6),
    bytes: new Budget(1e6),
    maxPixels: 1e6,
    maxInputBytes: 1e6,
    secret,
    telemetry: new Telemetry(),
    tracing: new Tracing(manifest.release, {}),
    log,
    jobs: new Set(),
    open: () => open,
  };
  const application = createApplication(room);
  const readiness = async () => (await application.request("/readyz")).status;
  const path = "/v1/infer";
  const offer = async () => {
    const body = JSON.stringify({
      job_id: newId("analysis"),
      attempt: 1,
      release: manifest.release,
      input_url: "http://127.0.0.1:9/input",
      sha256: createHash("sha256").digest("hex"),
      bytes: 1,
      outputs: {},
      options: {},
      deadline: Date.now() + 60_000,
    });
    const headers = await signedHeaders(secret, { method: "POST", path, body });
    const answer = await application.request(path, { method: "POST", headers, body });
    const { code } = problemDocument.parse(await answer.json());
    return [answer.status, code, answer.headers.get("retry-after")];
  };
  try {
    expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "5"]]);
    await inference.start();
    // Warm, and not opened yet; open; draining.
    expect(await readiness()).toBe(503);
    open = true;
    expect(await readiness()).toBe(200);
    open = false;
    expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "5"]]);
    open = true;
    writeFileSync(modelFile, "dies");
    process.kill(inference.pid ?? 0, "SIGKILL");
    await expect.poll(readiness, { timeout: 10_000 }).toBe(503);
    await expect.poll(() => inference.failing, { timeout: 30_000 }).toBe(true);
    expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "30"]]);
    writeFileSync(modelFile, "well");
    await expect.poll(readiness, { timeout: 30_000 }).toBe(200);
    expect((await application.request("/healthz")).status).toBe(200);
    const counted = await room.telemetry.registry.getSingleMetric("omni_runner_jobs_total")?.get();
    expect(counted?.values).toEqual([{ labels: { outcome: "runner_unavailable" }, value: 3 }]);
  } finally {
    await inference.stop();
    rmSync(folder, { recursive: true });
  }
}, 120_000);
