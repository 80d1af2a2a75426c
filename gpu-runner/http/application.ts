/** The runner's routes. */
import { Problem } from "@omni-iml/shared/problems";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type InferRoom, infer } from "./infer.ts";
import { asProblem, problemResponse } from "./problems.ts";

/** A job is a few URLs and options; the image itself comes from storage. */
const largestRequest = 256 * 1024;

export function createApplication(room: InferRoom): Hono {
  const application = new Hono();
  const ready = () => room.open() && room.inference.ready;
  application.post(
    "/v1/infer",
    bodyLimit({
      maxSize: largestRequest,
      onError: () => problemResponse(new Problem("invalid_request", `A job has at most ${largestRequest} bytes.`)),
    }),
    (context) => infer(context, room),
  );
  application.get("/v1/model", (context) => {
    const { model, inputs, outputs, ...facts } = room.manifest;
    return context.json({ ...facts, provider: room.provider, ready: ready() });
  });
  application.get("/healthz", (context) => context.json({ status: "alive" }));
  application.get("/readyz", (context) => {
    if (!room.open())
      throw new Problem("runner_unavailable", "The runner is starting or being stopped.", { retryAfter: 2 });
    if (!ready()) throw new Problem("runner_unavailable", "The inference process is being started.", { retryAfter: 2 });
    return context.json({ status: "ready", release: room.manifest.release, provider: room.provider });
  });
  application.get("/metrics", async (context) =>
    context.body(await room.telemetry.registry.metrics(), 200, { "content-type": room.telemetry.registry.contentType }),
  );
  application.notFound((context) =>
    problemResponse(new Problem("not_found", `The runner has nothing at ${context.req.path}.`)),
  );
  application.onError((error) => {
    const problem = asProblem(error);
    if (problem.code === "internal_error") room.log.error({ err: problem.cause }, "a request failed");
    return problemResponse(problem);
  });
  return application;
}
