/** Spans as a collector gets them: a local HTTP server in its place. */
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, expect, it } from "vitest";
import { z } from "zod";
import { Tracing } from "./tracing.ts";

const attribute = z.object({ key: z.string(), value: z.object({ stringValue: z.string().optional() }) });
const span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  status: z.object({ code: z.int().optional() }),
  attributes: z.array(attribute),
});
const exported = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(attribute) }),
      scopeSpans: z.array(z.object({ spans: z.array(span) })),
    }),
  ),
});

afterEach(() => {
  delete process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
});

/** Runs `work` with a collector, and gives what that was sent. */
async function collecting(work: (tracing: Tracing) => void) {
  const bodies: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${port}`;
  const tracing = new Tracing("0.2.0-test", process.env);
  work(tracing);
  await tracing.shutdown();
  server.closeAllConnections();
  server.close();
  return bodies.flatMap((body) => exported.parse(body).resourceSpans);
}

const parent = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
const headers = new Headers({ traceparent: `00-${parent.trace}-${parent.span}-01` });

it("a job continues the edge's trace, its stages follow one another below it", async () => {
  const [sent] = await collecting((tracing) => {
    const job = tracing.startJob(headers, { "omni.analysis": "an_1" });
    for (const stage of ["download", "queued", "decode", "inference", "inference", "encode", "upload"])
      job.stage(stage);
    job.end(null);
  });
  const spans = sent?.scopeSpans.flatMap((scope) => scope.spans) ?? [];
  expect(spans.map(({ name }) => name)).toEqual([
    "download",
    "queued",
    "decode",
    "inference",
    "encode",
    "upload",
    "analyse",
  ]);
  const whole = spans.at(-1);
  expect(whole?.parentSpanId).toBe(parent.span);
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([parent.trace]));
  for (const stage of spans.slice(0, -1)) expect(stage.parentSpanId).toBe(whole?.spanId);
  expect(sent?.resource.attributes).toContainEqual({ key: "service.version", value: { stringValue: "0.2.0-test" } });
});

it("a failure is marked where it happened and on the whole, with its code", async () => {
  const [sent] = await collecting((tracing) => {
    const job = tracing.startJob(new Headers(), {});
    job.stage("download");
    job.stage("decode");
    job.end("image_corrupt");
  });
  const spans = sent?.scopeSpans.flatMap((scope) => scope.spans) ?? [];
  const failed = spans.filter(({ status }) => status.code === 2).map(({ name }) => name);
  expect(failed).toEqual(["decode", "analyse"]);
  expect(spans.at(-1)?.attributes).toContainEqual({ key: "omni.problem", value: { stringValue: "image_corrupt" } });
});

it("nothing is recorded where nobody collects", async () => {
  const tracing = new Tracing("0.2.0-test", {});
  const job = tracing.startJob(headers, {});
  job.stage("download");
  job.end(null);
  await tracing.shutdown();
});
