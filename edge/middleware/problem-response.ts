/** The one place where errors become answers. */
import { Problem } from "@omni-iml/shared/problems";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ZodError } from "zod";
import { log, loggedPath } from "../log.ts";
import type { App } from "./app-types.ts";

/** A Problem for one field, named by its path, that is not as it must be. */
export function invalidField(path: string, message: string, cause?: unknown): Problem {
  return new Problem("invalid_request", `${path}: ${message}`, { errors: [{ path, message }], cause });
}

/** A Problem for input that does not fit its schema, naming every field. */
export function invalidRequest(error: ZodError, where: string): Problem {
  const errors = error.issues.flatMap((issue) => complaints(issue, where));
  const detail = errors.map(({ path, message }) => `${path}: ${message}`).join("; ");
  return new Problem("invalid_request", detail, { errors, cause: error });
}

type Issue = ZodError["issues"][number];

function complaints(issue: Issue, where: string): { path: string; message: string }[] {
  const path = [where, ...issue.path.map(String)].join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: `${path}.${key}`, message: "is not known here" }));
  }
  // Of several forms, what keeps it from being the one that it is nearest to.
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const distance = (issues: readonly Issue[]) => issues.flatMap((inner) => complaints(inner, path)).length;
    const [nearest] = [...issue.errors].sort((a, b) => distance(a) - distance(b));
    return (nearest ?? []).flatMap((inner) => complaints(inner, path));
  }
  return [{ path, message: issue.message }];
}

/** Renders a Problem as the answer to the request of `context`. */
export function problemResponse(
  context: Context<App>,
  problem: Problem,
  headers: Record<string, string> = {},
): Response {
  context.set("code", problem.code);
  return context.body(JSON.stringify(problem.document(context.get("requestId"))), {
    status: problem.status,
    headers: {
      "content-type": "application/problem+json",
      ...(problem.retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(problem.retryAfter)) }),
      ...(problem.code === "unauthorized" ? { "www-authenticate": 'Bearer realm="omni-iml"' } : {}),
      ...headers,
    },
  });
}

/** Whatever was thrown: a Problem is meant for the caller, anything else is logged and answered as `internal_error`. */
export function renderError(error: Error, context: Context<App>): Response {
  if (error instanceof Problem) {
    if (error.status >= 500) log("warn", "answered with a problem", { request: context.get("requestId"), error });
    return problemResponse(context, error);
  }
  if (error instanceof HTTPException && error.status < 500) {
    return problemResponse(context, new Problem("invalid_request", error.message, { cause: error }));
  }
  log("error", "unexpected error", { request: context.get("requestId"), path: loggedPath(context.req.path), error });
  return problemResponse(context, new Problem("internal_error", "The request could not be handled.", { cause: error }));
}
