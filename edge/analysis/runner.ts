/** The edge's side of `POST /v1/infer`: finding a runner that takes the job on, and the lines of its answer. */
import { type InferLine, type InferRequest, inferLine } from "@omni-iml/shared/inference";
import { Problem, type ProblemCode, problemDocument } from "@omni-iml/shared/problems";
import { signedHeaders } from "@omni-iml/shared/signature";
import type { Environment, Settings } from "../environment.ts";
import { log } from "../log.ts";
import type { CallEnd, Choice, PoolJob } from "../runners/pool.ts";
import { poolOf } from "../runners/pool-object.ts";
import { childSpan } from "../trace.ts";

const path = "/v1/infer";
/** A finding with many polygons is long; nothing honest is longer than this. */
const longestLine = 16 * 1024 * 1024;

/** No runner took the job on, and that is nobody's failure: ask again after `retryAfter` milliseconds. */
export class RunnerBusy extends Error {
  override readonly name = "RunnerBusy";
  readonly problem: Problem;
  readonly retryAfter: number;

  constructor(problem: Problem, retryAfter: number) {
    super(problem.message, { cause: problem });
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** Codes by which a runner blames the edge's request, not the image: the customer is not told to change anything. */
const blamesTheEdge: ReadonlySet<ProblemCode> = new Set([
  "invalid_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "gone",
]);

/** Milliseconds named by `Retry-After` (seconds or a date), else a second. */
function retryAfter(response: Response): number {
  const value = response.headers.get("retry-after");
  if (value === null) return 1_000;
  const seconds = Number(value);
  const milliseconds = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(milliseconds, 100) : 1_000;
}

function problemFrom(body: unknown, fallback: string): Problem {
  const parsed = problemDocument.safeParse(body);
  if (!parsed.success) return new Problem("runner_unavailable", fallback);
  const { code, detail, errors } = parsed.data;
  if (blamesTheEdge.has(code)) return new Problem("internal_error", `The runner refused the job (${code}): ${detail}`);
  return new Problem(code, detail, errors === undefined ? {} : { errors });
}

/** Why the edge has broken off a call because of the runner: it sent no line for as long as a lease lasts. */
export class RunnerSilent extends Error {
  override readonly name = "RunnerSilent";
}

/** A call that a runner has taken on. */
interface Call {
  response: Response;
  /** Tells the pool how it ended; does nothing where there is no pool. */
  ended(end: CallEnd): Promise<void>;
}

/**
 * Has a runner do the job: yields the lines of its answer. Each offer to a runner is a span of the trace `trace`.
 *
 * @throws RunnerBusy if no runner takes it on now, a `Problem` if one refuses the job itself.
 */
export async function* infer(
  env: Environment,
  settings: Settings,
  request: InferRequest,
  trace: string | null,
  signal: AbortSignal,
): AsyncGenerator<InferLine> {
  const call = await offer(env, settings, request, trace, signal);
  const start = Date.now();
  // Also what remains when the reader stops reading.
  let end: CallEnd = { kind: "withdrawn" };
  try {
    for await (const line of readLines(call.response)) {
      if (line.type === "result") end = { kind: "answered", milliseconds: Date.now() - start };
      else if (line.type === "problem") end = endOf(line.problem.code);
      yield line;
      if (line.type !== "stage") return;
    }
    end = { kind: "broken" };
  } catch (error) {
    if (!signal.aborted || signal.reason instanceof RunnerSilent) end = { kind: "broken" };
    throw error;
  } finally {
    await call.ended(end);
  }
}

/** What the last line says of the runner, where it names a problem. */
function endOf(code: ProblemCode): CallEnd {
  if (code === "runner_busy") return { kind: "full", retryAfter: 1_000 };
  return code === "runner_unavailable" ? { kind: "away", retryAfter: 1_000 } : { kind: "answered", milliseconds: null };
}

/**
 * Offers the job to one runner after the other, until one takes it on: in the pool's order where there are several. One
 * address is a single runner or a balancer, whose choice is then the balancer's.
 */
async function offer(
  env: Environment,
  settings: Settings,
  request: InferRequest,
  trace: string | null,
  signal: AbortSignal,
): Promise<Call> {
  const urls = settings.RUNNER_URLS;
  const job: PoolJob = { id: request.job_id, release: request.release, bytes: request.bytes };
  const tried: string[] = [];
  let refusal: RunnerBusy | undefined;
  while (tried.length < urls.length) {
    const choice = await choose(env, urls, job, tried);
    if (choice.kind === "none") throw refusal ?? noneOf(choice, request);
    const { url } = choice;
    tried.push(url);
    const ended = (end: CallEnd) => report(env, urls, job, url, end);
    let response: Response;
    try {
      response = await post(settings, url, request, trace, signal);
    } catch (cause) {
      const withdrawn = signal.aborted && !(signal.reason instanceof RunnerSilent);
      await ended({ kind: withdrawn ? "withdrawn" : "broken" });
      if (signal.aborted) throw cause;
      refusal ??= new RunnerBusy(new Problem("runner_unavailable", "A runner does not answer.", { cause }), 1_000);
      continue;
    }
    if (response.status === 200 && response.body) return { response, ended };
    const document: unknown = await response.json().catch(() => null);
    const problem = problemFrom(document, `A runner answered ${response.status}.`);
    switch (problem.code) {
      case "runner_busy":
        await ended({ kind: "full", retryAfter: retryAfter(response) });
        break;
      case "runner_unavailable":
        await ended({ kind: "away", retryAfter: retryAfter(response) });
        break;
      case "release_mismatch":
        // Another one may serve it, or this one after its upgrade: no failure of the job's.
        await ended({ kind: "other_release" });
        break;
      default:
        await ended({ kind: "answered", milliseconds: null });
        throw problem;
    }
    const pause = retryAfter(response);
    if (refusal === undefined || pause < refusal.retryAfter) refusal = new RunnerBusy(problem, pause);
  }
  throw refusal ?? new Error("RUNNER_URLS names no runner");
}

async function post(
  settings: Settings,
  url: string,
  request: InferRequest,
  trace: string | null,
  signal: AbortSignal,
): Promise<Response> {
  const body = JSON.stringify(request);
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      traceparent: childSpan(trace),
      ...(await signedHeaders(settings.RUNNER_SECRET, { method: "POST", path, body })),
    },
    body,
    redirect: "manual",
    signal,
  });
}

async function choose(
  env: Environment,
  urls: readonly string[],
  job: PoolJob,
  tried: readonly string[],
): Promise<Choice> {
  const left = urls.filter((url) => !tried.includes(url));
  const any = left[Math.floor(Math.random() * left.length)] ?? "";
  if (urls.length === 1) return { kind: "runner", url: any };
  try {
    return await poolOf(env, urls).choose(urls, job, tried);
  } catch (error) {
    // Its advice saves time; the work goes on without.
    log("warn", "the runner pool does not answer", { analysis: job.id, error });
    return { kind: "runner", url: any };
  }
}

async function report(
  env: Environment,
  urls: readonly string[],
  job: PoolJob,
  url: string,
  end: CallEnd,
): Promise<void> {
  if (urls.length === 1) return;
  try {
    await poolOf(env, urls).ended(urls, job, url, end);
  } catch (error) {
    log("warn", "the runner pool was not told of a call's end", { analysis: job.id, error });
  }
}

const absences = {
  full: ["runner_busy", "Every runner is at its limit."],
  unavailable: ["runner_unavailable", "No runner is well."],
  other_release: ["release_mismatch", "No runner serves this release yet."],
} as const;

function noneOf({ why, retryAfter: pause }: Extract<Choice, { kind: "none" }>, request: InferRequest): RunnerBusy {
  const [code, detail] = absences[why];
  return new RunnerBusy(
    new Problem(code, code === "release_mismatch" ? `${detail} (${request.release})` : detail),
    pause,
  );
}

/** The lines of a runner's answer, each checked against the contract. */
async function* readLines(response: Response): AsyncGenerator<InferLine> {
  if (!response.body) return;
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) throw new Problem("inference_crashed", "The runner sent a line without end.");
    for (const line of lines) if (line.trim() !== "") yield parseLine(line);
  }
  if (rest.trim() !== "") yield parseLine(rest);
}

function parseLine(line: string): InferLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Problem("inference_crashed", "The runner's answer broke off within a line.", { cause });
  }
  const parsed = inferLine.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem("internal_error", "The runner sent a line that is not in the contract.", { cause: parsed.error });
}

/** By these a runner that had begun to answer gives the job back untouched. */
const givesBack: ReadonlySet<ProblemCode> = new Set(["runner_busy", "runner_unavailable", "release_mismatch"]);

/** What a problem line means for the record: the job was given back, or the attempt failed. */
export function lineFailure(line: Extract<InferLine, { type: "problem" }>): Problem | RunnerBusy {
  const problem = problemFrom(line.problem, "The runner sent no problem document.");
  return givesBack.has(problem.code) ? new RunnerBusy(problem, 1_000) : problem;
}
