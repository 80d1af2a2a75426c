/** Alerts, dashboard and scaling name metrics that exist, in PromQL that parses, and every alert has its runbook. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { families } from "../../edge/telemetry/families.ts";
import { Telemetry } from "../../gpu-runner/telemetry/metrics.ts";
import { repository } from "../local/stack.ts";

const text = (path: string) => readFileSync(join(repository, "infra", path), "utf8");

const groups = z.array(
  z.object({
    name: z.string(),
    rules: z.array(
      z.strictObject({
        alert: z.string(),
        expr: z.string(),
        for: z.string().optional(),
        labels: z.strictObject({ severity: z.enum(["page", "ticket"]) }),
        annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
      }),
    ),
  }),
);
const alertGroups = groups.parse(parse(text("monitoring/alerts.yaml")).groups);
const alerts = alertGroups.flatMap(({ rules }) => rules);

const dashboard = z
  .object({
    panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })),
  })
  .parse(JSON.parse(text("monitoring/grafana/dashboards/omni-iml.json")));

const scaling = parseAllDocuments(text("kubernetes/base/scaling.yaml")).flatMap((document) =>
  z
    .object({ spec: z.object({ triggers: z.array(z.object({ metadata: z.object({ query: z.string() }) })) }) })
    .parse(document.toJS())
    .spec.triggers.map(({ metadata }) => ["scaling", metadata.query] as const),
);

const queries: (readonly [string, string])[] = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ...scaling,
];

function existing(): Set<string> {
  const telemetry = new Telemetry();
  const none = () => 0;
  telemetry.observe({
    waiting: none,
    running: none,
    waitingPixels: none,
    admittedPixels: none,
    pixelsPerSecond: none,
    ready: () => true,
    memoryBytes: async () => 0,
    deviceMemoryBytes: async () => null,
  });
  const runner = telemetry.registry.getMetricsAsArray().map(({ name, type }) => ({ name, type: String(type) }));
  const edge = Object.entries(families).map(([name, { type }]) => ({ name, type: String(type) }));
  const series = [...runner, ...edge].flatMap(({ name, type }) =>
    type === "histogram" ? ["_bucket", "_sum", "_count"].map((part) => name + part) : [name],
  );
  return new Set(series);
}

/** The metrics that a query names. Throws where it does not parse. */
function metricsOf(query: string): string[] {
  // Grafana fills these in before Prometheus sees them.
  const plain = query.replaceAll("$__rate_interval", "5m").replaceAll("$__range", "3h");
  const found: string[] = [];
  parser.parse(plain).iterate({
    enter: ({ name, type, from, to }) => {
      if (type.isError) throw new Error(`does not parse at ${from}: ${plain}`);
      if (name === "VectorSelector") {
        const metric = /^[a-zA-Z_:][\w:]*/.exec(plain.slice(from, to))?.[0];
        if (metric !== undefined) found.push(metric);
      }
    },
  });
  return found;
}

it.each(queries)("%s asks for metrics that exist", (_, query) => {
  const known = existing();
  const named = metricsOf(query);
  expect(named.length).toBeGreaterThan(0);
  for (const metric of named) expect([...known]).toContain(metric);
});

it("a query that does not parse, or names nothing that exists, would be noticed", () => {
  expect(() => metricsOf("sum(rate(omni_edge_requests_total[5m])")).toThrow(/does not parse/);
  expect(metricsOf("sum by (le) (rate(omni_nothing[5m])) / omni_runner_ready > 0")).toEqual([
    "omni_nothing",
    "omni_runner_ready",
  ]);
});

describe("runbooks", () => {
  it("there is a section for each alert, and none for anything else", () => {
    const sections = [...text("runbooks.md").matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(sections.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });

  it("each alert leads to its own", () => {
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook).toBe(`infra/runbooks.md#${alert.toLowerCase()}`);
    }
  });
});

it("Kubernetes has the same alerts", () => {
  expect(groups.parse(parse(text("kubernetes/base/alerts.yaml")).spec.groups)).toEqual(alertGroups);
});
