/** A started runner: HTTP server and inference process, and how they end together. */
import { once } from "node:events";
import { type ServerType, serve } from "@hono/node-server";
import { messageOf } from "@omni-iml/shared/message-of";
import { Problem } from "@omni-iml/shared/problems";
import type { Logger } from "pino";
import { type Configuration, StartError } from "./configuration.ts";
import { loadTrustAnchors } from "./evidence/provenance/trust-anchors.ts";
import { createApplication } from "./http/application.ts";
import type { InferRoom } from "./http/infer.ts";
import { InferenceProcess } from "./inference/process.ts";
import { languageModelOf } from "./interpretation/language-model.ts";
import { Admission } from "./jobs/admission.ts";
import { Budget } from "./jobs/budget.ts";
import { loadRelease } from "./release.ts";
import { ReportMaker } from "./report/report-maker.ts";
import { deviceMemory, residentMemory } from "./telemetry/memory.ts";
import { Telemetry } from "./telemetry/metrics.ts";
import { Tracing } from "./telemetry/tracing.ts";

export interface Runner {
  readonly port: number;
  readonly release: string;
  /** The inference process's id; undefined while there is none. */
  readonly inferencePid: () => number | undefined;
  /** Takes no more jobs, lets the running ones end within the drain time, then closes everything. */
  drain(): Promise<void>;
}

/**
 * Starts a runner; resolves when the model is warm. It listens before that, and `/readyz` says 503 until then.
 *
 * @throws StartError
 */
export async function startRunner(configuration: Configuration, log: Logger): Promise<Runner> {
  const { manifest, modelFile, interpretationFile } = await loadRelease(configuration.MODEL_DIR);
  const trustAnchors = await loadTrustAnchors(configuration.C2PA_TRUST_ANCHORS);
  const telemetry = new Telemetry();
  const inference = new InferenceProcess(
    {
      modelFile,
      interpretationFile,
      manifest,
      provider: configuration.PROVIDER,
      threads: configuration.THREADS,
      smallSessions: configuration.SMALL_SESSIONS,
      imageThreads: configuration.IMAGE_THREADS,
      deviceMemory: configuration.CUDA_MEMORY_MB === undefined ? null : configuration.CUDA_MEMORY_MB * 2 ** 20,
      maxPixels: configuration.MAX_PIXELS,
      largestBatch: configuration.MAX_BATCH,
      trustAnchors,
    },
    log,
    {
      crashed: () => telemetry.crashed(),
      ready: () => log.debug("the inference process is warm"),
      batch: (facts) => telemetry.batch(facts),
    },
  );
  let open = false;
  const reports = new ReportMaker();
  const room: InferRoom = {
    manifest,
    provider: configuration.PROVIDER,
    inference,
    languageModel: languageModelOf(configuration),
    reports,
    admission: new Admission(configuration.MAX_QUEUED_PIXELS),
    bytes: new Budget(configuration.MAX_QUEUED_BYTES),
    maxPixels: configuration.MAX_PIXELS,
    maxInputBytes: configuration.MAX_INPUT_BYTES,
    secret: configuration.RUNNER_SECRET,
    telemetry,
    tracing: new Tracing(manifest.release, process.env),
    log,
    jobs: new Set(),
    open: () => open,
  };
  telemetry.observe({
    waiting: () => inference.waiting,
    running: () => inference.running,
    waitingPixels: () => inference.waitingPixels,
    admittedPixels: () => room.admission.pixels,
    pixelsPerSecond: () => room.admission.rate,
    ready: () => inference.ready,
    memoryBytes: () => residentMemory(inference.pid),
    deviceMemoryBytes: async () => (configuration.PROVIDER === "cuda" ? deviceMemory() : null),
  });
  const server = await listen(room, configuration);
  try {
    await inference.start();
  } catch (error) {
    server.close();
    const reason = messageOf(error);
    throw new StartError(`the model cannot be served by the ${configuration.PROVIDER} provider: ${reason}`);
  }
  open = true;
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : configuration.PORT,
    release: manifest.release,
    inferencePid: () => inference.pid,
    async drain() {
      open = false;
      inference.handBack("The runner is being stopped.");
      const ended = Promise.all([...room.jobs].map((job) => job.ended));
      const patience = setTimeout(() => {
        const reason = new Problem("runner_unavailable", "The runner was stopped during this analysis.");
        for (const job of room.jobs) job.abort(reason);
      }, configuration.DRAIN_SECONDS * 1000);
      await ended;
      clearTimeout(patience);
      await new Promise((resolve) => server.close(resolve));
      await reports.stop();
      await inference.stop();
      // A collector that does not answer must not hold up the end.
      await room.tracing.shutdown().catch((error: unknown) => log.warn({ err: error }, "spans were lost"));
    },
  };
}

async function listen(room: InferRoom, { PORT, HOST }: Configuration): Promise<ServerType> {
  const server = serve({ fetch: createApplication(room).fetch, port: PORT, hostname: HOST });
  try {
    await once(server, "listening");
  } catch (error) {
    const reason = messageOf(error);
    throw new StartError(`cannot listen at ${HOST}:${PORT}: ${reason}`);
  }
  return server;
}
