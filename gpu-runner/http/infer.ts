/**
 * `POST /v1/infer`.
 *
 * What goes wrong before a job is admitted has a status of its own; afterwards the status is 200 and the last line says
 * how it ended. Admission needs the file's header, so the answer waits for the download, but no longer than four
 * seconds: then the stream begins, and a refusal becomes its last line.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type InferRequest, inferRequest } from "@omni-iml/shared/inference";
import { Problem } from "@omni-iml/shared/problems";
import { timestampHeader, verifySignature } from "@omni-iml/shared/signature";
import type { Context } from "hono";
import type { Logger } from "pino";
import type { InferenceProcess } from "../inference/process.ts";
import type { Budget } from "../jobs/budget.ts";
import { type JobRoom, runJob } from "../jobs/job.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { LineStream } from "./lines.ts";
import { asProblem } from "./problems.ts";
import { TakenRequests } from "./replays.ts";

const longestWait = 4000;
/** setTimeout's own limit. */
const longestTimer = 2 ** 31 - 1;

export interface InferRoom extends JobRoom {
  readonly inference: InferenceProcess;
  readonly secret: string;
  readonly maxInputBytes: number;
  /** Bytes of all input files in hand. */
  readonly bytes: Budget;
  readonly log: Logger;
  readonly tracing: Tracing;
  /** Jobs under way; a drain waits for them and then aborts them. */
  readonly jobs: Set<{ readonly ended: Promise<void>; abort(reason: Problem): void }>;
  /** Whether jobs are taken at all. */
  readonly open: () => boolean;
}

/** Of all rooms of this process: what is signed names its job and attempt. */
const taken = new TakenRequests();

interface Accepted {
  readonly request: InferRequest;
  /** Lets the same signed request come again: it was given back untouched. */
  readonly forget: () => void;
}

/** Reads and checks the request; throws Problem. */
async function acceptRequest(context: Context, room: InferRoom): Promise<Accepted> {
  const body = await context.req.text();
  const parts = { method: context.req.method, path: context.req.path, body };
  if (!(await verifySignature(room.secret, parts, context.req.raw.headers))) {
    throw new Problem("unauthorized", "The request carries no valid signature of the edge.");
  }
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw new Problem("invalid_request", "The body is not JSON.", { cause: error });
  }
  const parsed = inferRequest.safeParse(value);
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
    throw new Problem("invalid_request", "The body does not fit the runner contract.", { errors });
  }
  const request = parsed.data;
  if (!room.open()) throw new Problem("runner_unavailable", "The runner takes no jobs now.", { retryAfter: 5 });
  if (room.inference.failing) {
    throw new Problem("runner_unavailable", "The inference process cannot be kept up.", { retryAfter: 30 });
  }
  if (request.release !== room.manifest.release) {
    throw new Problem("release_mismatch", `This runner serves ${room.manifest.release}, not ${request.release}.`);
  }
  if (request.deadline <= Date.now()) throw new Problem("deadline_exceeded", "The deadline has passed.");
  if (request.bytes > room.maxInputBytes) {
    throw new Problem("image_too_large", `The file has ${request.bytes} bytes; the limit is ${room.maxInputBytes}.`);
  }
  const forget = taken.take(context.req.header(timestampHeader) ?? "", body);
  if (forget === null) throw new Problem("forbidden", "This very request was taken on before.");
  return { request, forget };
}

export async function infer(context: Context, room: InferRoom): Promise<Response> {
  const { request, forget } = await acceptRequest(context, room).catch((error: unknown) => {
    room.telemetry.ended(asProblem(error).code);
    throw error;
  });
  const giveBack = room.bytes.take(request.bytes, request.account);
  if (giveBack === null) {
    forget();
    room.telemetry.ended("runner_busy");
    throw new Problem("runner_busy", "The runner has as many input bytes in hand as it takes.", {
      retryAfter: room.admission.retryAfter(0),
    });
  }
  const log = room.log.child({ job: request.job_id, attempt: request.attempt });
  const trace = room.tracing.startJob(context.req.raw.headers, {
    "omni.analysis": request.job_id,
    "omni.attempt": request.attempt,
    "omni.priority": request.options.priority,
    "omni.bytes": request.bytes,
  });
  const controller = new AbortController();
  const hangUp = () => controller.abort(new HungUp());
  const lines = new LineStream(hangUp);
  context.req.raw.signal.addEventListener("abort", hangUp, { once: true });
  const deadline = setTimeout(
    () => controller.abort(new Problem("deadline_exceeded", "The analysis did not end before its deadline.")),
    Math.min(longestTimer, request.deadline - Date.now()),
  );

  const admission = Promise.withResolvers<void>();
  const work = runJob(request, room, {
    signal: controller.signal,
    onStage: (stage, progress) => {
      trace.stage(stage);
      lines.stage({ type: "stage", stage, progress });
    },
    onAdmitted: admission.resolve,
  }).then(
    (line) => {
      log.info({ timings: line.finding.timings, verdict: line.finding.verdict }, "job succeeded");
      room.telemetry.ended("succeeded");
      trace.end(null);
      return line;
    },
    (error: unknown) => {
      if (error instanceof HungUp) {
        log.info("job withdrawn: the caller hung up");
        room.telemetry.ended("withdrawn");
        trace.end("withdrawn");
        return null;
      }
      const problem = asProblem(error);
      const level = problem.code === "internal_error" ? "error" : "info";
      log[level]({ code: problem.code, detail: problem.message, err: problem.cause }, "job failed");
      room.telemetry.ended(problem.code);
      trace.end(problem.code);
      return problem;
    },
  );
  const job = { ended: work.then(() => undefined), abort: (reason: Problem) => controller.abort(reason) };
  room.jobs.add(job);
  const finished = work.finally(() => {
    clearTimeout(deadline);
    giveBack();
    room.jobs.delete(job);
  });

  const early = await Promise.race([finished, admission.promise, sleep(longestWait)]);
  if (early instanceof Problem) {
    lines.discard();
    if (early.code === "runner_busy" || early.code === "runner_unavailable") forget();
    throw early;
  }
  void finished.then((end) => {
    if (end instanceof Problem) lines.end({ type: "problem", problem: end.document(request.job_id) });
    else if (end !== null) lines.end(end);
    else lines.discard();
  });
  return new Response(lines.body, {
    headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
  });
}

/** The caller has gone: its lease is withdrawn, and nobody reads an answer. */
class HungUp extends Error {
  override readonly name = "HungUp";
}
