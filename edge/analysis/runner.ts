/** The edge's side of `POST /v1/infer`: one call of one runner, as a stream of its lines. */
import { type InferLine, type InferRequest, inferLine } from "@omni-iml/shared/inference";
import { Problem, type ProblemCode, problemDocument } from "@omni-iml/shared/problems";
import { signedHeaders } from "@omni-iml/shared/signature";
import type { Settings } from "../environment.ts";
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

/**
 * Offers the job to the runners, beginning at another one for every attempt, until one takes it on; each offer is a span
 * of the trace `trace`.
 * Throws `RunnerBusy` if all are at their limit or do not answer, a `Problem` if one refuses the job itself.
 */
export async function callRunner(
  settings: Settings,
  request: InferRequest,
  trace: string | null,
  signal: AbortSignal,
): Promise<Response> {
  const body = JSON.stringify(request);
  const urls = settings.RUNNER_URLS;
  const first = (request.attempt + (request.job_id.codePointAt(request.job_id.length - 1) ?? 0)) % urls.length;
  let busy: RunnerBusy | undefined;
  for (const url of [...urls.slice(first), ...urls.slice(0, first)]) {
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, {
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
    } catch (cause) {
      if (signal.aborted) throw cause;
      busy ??= new RunnerBusy(new Problem("runner_unavailable", "A runner does not answer.", { cause }), 1_000);
      continue;
    }
    if (response.status === 200 && response.body) return response;
    const document: unknown = await response.json().catch(() => null);
    const problem = problemFrom(document, `A runner answered ${response.status}.`);
    if (response.status !== 429 && response.status !== 503) throw problem;
    busy = new RunnerBusy(problem, retryAfter(response));
  }
  throw busy ?? new Error("RUNNER_URLS names no runner");
}

/** The lines of a runner's answer, each checked against the contract. */
export async function* readLines(response: Response): AsyncGenerator<InferLine> {
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
const givesBack: ReadonlySet<ProblemCode> = new Set(["runner_busy", "runner_unavailable"]);

/** What a problem line means for the record: the job was given back, or the attempt failed. */
export function lineFailure(line: Extract<InferLine, { type: "problem" }>): Problem | RunnerBusy {
  const problem = problemFrom(line.problem, "The runner sent no problem document.");
  return givesBack.has(problem.code) ? new RunnerBusy(problem, 1_000) : problem;
}
