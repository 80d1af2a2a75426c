/** What the routes say while the inference process comes, goes and cannot be kept up, with a process in its place. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
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
/** What was logged, one line each. */
const logged: string[] = [];
const log = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });

interface Served {
  readonly application: ReturnType<typeof createApplication>;
  readonly room: InferRoom;
  readonly inference: InferenceProcess;
  /** Whether jobs are taken at all. */
  open: boolean;
  /** `well` or `dies`: how the process that takes inference's place behaves. */
  become(how: string): void;
}

/** The routes over a process that stands in for inference, which is not started yet, until `use` has ended. */
async function serve(use: (served: Served) => Promise<void>): Promise<void> {
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
      smallSessions: 0,
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
    open: () => served.open,
  };
  const served: Served = {
    application: createApplication(room),
    room,
    inference,
    open: false,
    become: (how) => writeFileSync(modelFile, how),
  };
  try {
    await use(served);
  } finally {
    await inference.stop();
    rmSync(folder, { recursive: true });
  }
}

const path = "/v1/infer";

/** A job as the edge would send it, whose input nobody has. */
function newJob(input_url = "http://127.0.0.1:9/input"): string {
  return JSON.stringify({
    job_id: newId("analysis"),
    attempt: 1,
    release: manifest.release,
    input_url,
    sha256: createHash("sha256").digest("hex"),
    bytes: 1,
    outputs: {},
    options: {},
    deadline: Date.now() + 60_000,
  });
}

it(
  "loading, draining and failing are no readiness, and jobs are sent elsewhere with the time to come back",
  () =>
    serve(async (served) => {
      const { application, room, inference } = served;
      const readiness = async () => (await application.request("/readyz")).status;
      const offer = async () => {
        const body = newJob();
        const headers = await signedHeaders(secret, { method: "POST", path, body });
        const answer = await application.request(path, { method: "POST", headers, body });
        const { code } = problemDocument.parse(await answer.json());
        return [answer.status, code, answer.headers.get("retry-after")];
      };
      expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "5"]]);
      await inference.start();
      // Warm, and not opened yet; open; draining.
      expect(await readiness()).toBe(503);
      served.open = true;
      expect(await readiness()).toBe(200);
      served.open = false;
      expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "5"]]);
      served.open = true;
      served.become("dies");
      process.kill(inference.pid ?? 0, "SIGKILL");
      await expect.poll(readiness, { timeout: 10_000 }).toBe(503);
      await expect.poll(() => inference.failing, { timeout: 30_000 }).toBe(true);
      expect([await readiness(), await offer()]).toEqual([503, [503, "runner_unavailable", "30"]]);
      served.become("well");
      await expect.poll(readiness, { timeout: 30_000 }).toBe(200);
      expect((await application.request("/healthz")).status).toBe(200);
      const counted = await room.telemetry.registry.getSingleMetric("omni_runner_jobs_total")?.get();
      expect(counted?.values).toEqual([{ labels: { outcome: "runner_unavailable" }, value: 3 }]);
    }),
  120_000,
);

it(
  "a signed request is taken on once, however its headers are spelled, and again where it was given back",
  () =>
    serve(async (served) => {
      await served.inference.start();
      served.open = true;
      const offer = async (body: string, headers: Record<string, string>) => {
        const answer = await served.application.request(path, { method: "POST", headers, body });
        return problemDocument.parse(await answer.json()).code;
      };
      const body = newJob();
      const headers = await signedHeaders(secret, { method: "POST", path, body });
      expect(await offer(body, headers)).toBe("input_unavailable");
      expect(await offer(body, headers)).toBe("forbidden");
      const { "omni-timestamp": time = "", "omni-signature": signature = "" } = headers;
      expect(await offer(body, { ...headers, "omni-signature": `v1=${"0".repeat(64)} ${signature}` })).toBe(
        "forbidden",
      );
      for (const spelling of [`0${time}`, `${time}.0`, `${time}e0`, `+${time}`, `0x${Number(time).toString(16)}`]) {
        expect(await offer(body, { ...headers, "omni-timestamp": spelling }), spelling).toBe("unauthorized");
      }
      expect(await offer(`\ufeff${body}`, headers)).not.toBe("input_unavailable");
      expect(await offer(` ${body}`, headers)).toBe("unauthorized");

      const giveBack = served.room.bytes.take(1e6, "another");
      const later = newJob();
      const signed = await signedHeaders(secret, { method: "POST", path, body: later });
      expect(await offer(later, signed)).toBe("runner_busy");
      giveBack?.();
      expect(await offer(later, signed)).toBe("input_unavailable");
    }),
  60_000,
);

it(
  "whatever storage does, the log has the job and its end, and no address that opens anything",
  () =>
    serve(async (served) => {
      await served.inference.start();
      served.open = true;
      const storage = createServer((request, response) => {
        const [, how] = (request.url ?? "").split("/");
        if (how === "refuses") response.writeHead(403).end(`<Error><Resource>${request.url}</Resource></Error>`);
        else if (how === "leads") response.writeHead(302, { location: `/else?${request.url?.split("?")[1]}` }).end();
        else if (how === "breaks")
          response.writeHead(200, { "content-length": "5" }).write("a", () => response.destroy());
        else if (how === "changes") response.end("ab");
        else request.socket.destroy();
      }).listen(0, "127.0.0.1");
      await once(storage, "listening");
      const address = storage.address();
      if (address === null || typeof address === "string") throw new Error("the server has no port");
      logged.length = 0;
      try {
        for (const how of ["refuses", "leads", "breaks", "changes", "hangs-up"]) {
          const signed = `http://127.0.0.1:${address.port}/${how}/of-the-path?X-Amz-Signature=of-the-signature`;
          const body = newJob(signed);
          const headers = await signedHeaders(secret, { method: "POST", path, body });
          const answer = await served.application.request(path, { method: "POST", headers, body });
          const text = await answer.text();
          expect(text, how).toMatch(/input_(unavailable|changed)/);
          expect(text, how).not.toMatch(/X-Amz|of-the-/);
        }
      } finally {
        storage.closeAllConnections();
        storage.close();
      }
      expect(logged.filter((line) => line.includes("job failed"))).toHaveLength(5);
      expect(logged.join("")).not.toMatch(/X-Amz|of-the-|v1=[0-9a-f]{64}/);
      expect(logged.join("")).not.toContain(secret);
    }),
  60_000,
);
