/** The names of what the edge measures, free of everything else: the alarms' tests read them outside a worker. */
type Family = { help: string; type: "counter" | "histogram" };

/** Everything that is measured; `outcome` is `ok` or a problem's code. */
export const families = {
  omni_edge_requests_total: { type: "counter", help: "Requests by route, method, status and outcome." },
  omni_edge_request_duration_seconds: { type: "histogram", help: "Time until the whole answer was sent, by route." },
  omni_edge_request_bytes_total: { type: "counter", help: "Bytes of bodies, by route and direction." },
  omni_edge_analyses_total: { type: "counter", help: "Analyses that ended, by outcome and whether from cache." },
  omni_edge_webhook_attempts_total: { type: "counter", help: "Attempts to deliver a webhook, by outcome." },
  omni_edge_runner_calls_total: {
    type: "counter",
    help: "Calls of runners, where there are several, by how they ended.",
  },
  omni_edge_runner_circuits_total: {
    type: "counter",
    help: "Runners that were taken out of the choice (opened) and taken back (closed).",
  },
} as const satisfies Record<string, Family>;
type MetricName = keyof typeof families;
export type Counter = {
  [Name in MetricName]: (typeof families)[Name]["type"] extends "counter" ? Name : never;
}[MetricName];
export type Histogram = Exclude<MetricName, Counter>;
