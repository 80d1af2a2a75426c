/**
 * OpenTelemetry spans of a job: one for the whole, below the edge's span that its `traceparent` names, and one for each
 * stage. Exported by OTLP over HTTP where the standard variables say so (OTEL_EXPORTER_OTLP_ENDPOINT,
 * OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER …); otherwise nothing is recorded.
 */
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AlwaysOffSampler, BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

type Attributes = Record<string, string | number>;

export class Tracing {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: Tracer;
  readonly #propagator = new W3CTraceContextPropagator();

  constructor(release: string, environment: Readonly<Record<string, string | undefined>>) {
    const wanted = environment["OTEL_EXPORTER_OTLP_ENDPOINT"] || environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    this.#provider = new BasicTracerProvider({
      resource: resourceFromAttributes({
        "service.name": environment["OTEL_SERVICE_NAME"] || "gpu-runner",
        "service.version": release,
      }),
      spanProcessors: wanted ? [new BatchSpanProcessor(new OTLPTraceExporter())] : [],
      // Spans that nobody gets would still be made; with an exporter the standard variables choose the sampler.
      ...(wanted ? {} : { sampler: new AlwaysOffSampler() }),
    });
    this.#tracer = this.#provider.getTracer("gpu-runner");
  }

  startJob(headers: Headers, attributes: Attributes): JobTrace {
    const parent = this.#propagator.extract(ROOT_CONTEXT, headers, {
      get: (carrier, name) => carrier.get(name) ?? undefined,
      keys: (carrier) => [...carrier.keys()],
    });
    const span = this.#tracer.startSpan("analyse", { kind: SpanKind.SERVER, attributes }, parent);
    return new JobTrace(this.#tracer, span, trace.setSpan(parent, span));
  }

  /** Sends what has not been sent yet. */
  shutdown(): Promise<void> {
    return this.#provider.shutdown();
  }
}

export class JobTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  #stage: { name: string; span: Span } | null = null;

  constructor(tracer: Tracer, span: Span, context: Context) {
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
  }

  /** The job has come to a stage; said again, it is still there. */
  stage(name: string): void {
    if (this.#stage?.name === name) return;
    this.#stage?.span.end();
    this.#stage = { name, span: this.#tracer.startSpan(name, {}, this.#context) };
  }

  /** @param failure code of the problem that the job ended with, or null. */
  end(failure: string | null): void {
    for (const span of [this.#stage?.span, this.#span]) {
      if (failure !== null) span?.setAttribute("omni.problem", failure).setStatus({ code: SpanStatusCode.ERROR });
      span?.end();
    }
  }
}
