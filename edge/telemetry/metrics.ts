/**
 * Metrics in Prometheus' terms. An isolate adds up what happens in it and hands the sums on every few seconds to the one
 * MetricsObject, which `GET /metrics` reads: isolates come and go, and no one of them could be asked for all.
 *
 * Every series is a sum, histograms included, so that handing on and adding up is all there is to do.
 */
import type { Environment } from "../environment.ts";
import { log } from "../log.ts";
import type { Counter, Histogram } from "./families.ts";

type Labels = Readonly<Record<string, string | number>>;

/** Seconds: from an answer out of the cache to a request that waited for a minute. */
const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const interval = 5_000;
/** A request that was broken off may have taken its turn of handing on with it. */
const lost = 30_000;

let sums = new Map<string, number>();
let handsOnAt = 0;

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };
const escaped = (value: string | number) => String(value).replaceAll(/[\\"\n]/g, (letter) => escapes[letter] ?? letter);

function add(name: string, labels: Labels, value: number): void {
  const pairs = Object.entries(labels).map(([label, content]) => `${label}="${escaped(content)}"`);
  const series = pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
  sums.set(series, (sums.get(series) ?? 0) + value);
}

export function count(name: Counter, labels: Labels, value = 1): void {
  add(name, labels, value);
}

export function observe(name: Histogram, labels: Labels, value: number): void {
  for (const le of buckets) if (value <= le) add(`${name}_bucket`, { ...labels, le }, 1);
  add(`${name}_bucket`, { ...labels, le: "+Inf" }, 1);
  add(`${name}_sum`, labels, value);
  add(`${name}_count`, labels, 1);
}

/** Hands on what has been added up. What cannot be handed on is added up again. */
export async function handOnMetrics(env: Environment): Promise<void> {
  const batch = sums;
  if (batch.size === 0) return;
  sums = new Map();
  try {
    await env.METRICS.getByName("edge").add([...batch]);
  } catch (error) {
    for (const [series, value] of batch) sums.set(series, (sums.get(series) ?? 0) + value);
    log("warn", "metrics were not handed on", { error });
  }
}

/** Sees to it that what has been added up is handed on soon, by this request or by one before it. */
export function handOnSoon(env: Environment, later: (work: Promise<unknown>) => void): void {
  const now = Date.now();
  if (handsOnAt > now - lost && handsOnAt !== 0) return;
  handsOnAt = now;
  const turn = async () => {
    await new Promise((resolve) => setTimeout(resolve, interval));
    handsOnAt = 0;
    await handOnMetrics(env);
  };
  later(turn());
}
