/** How a problem is answered. */
import { Problem } from "@omni-iml/shared/problems";

/** Any error as a problem: what is not meant for the caller becomes `internal_error`, its cause kept for the log. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem("internal_error", "The runner failed in a way it does not know.", { cause: error });
}

export function problemResponse(problem: Problem, instance?: string): Response {
  const headers = new Headers({ "content-type": "application/problem+json" });
  if (problem.retryAfter !== undefined) headers.set("retry-after", String(problem.retryAfter));
  return new Response(JSON.stringify(problem.document(instance)), { status: problem.status, headers });
}
