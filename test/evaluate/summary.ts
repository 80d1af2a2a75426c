/** From figures of images to figures of sets and domains. */
import { type Interval, meanInterval } from "./bootstrap.ts";
import { pairsWon, scoreAuc, truePositiveRate } from "./image-metrics.ts";
import { pairKey, type SetImage } from "./image-set.ts";
import type { PeerFigures } from "./peers.ts";
import type { PixelMetrics } from "./pixel-metrics.ts";

export const metricNames = ["f1", "iou", "bestF1", "bestIou", "auc"] as const satisfies readonly (keyof PixelMetrics)[];
export type MetricName = (typeof metricNames)[number];

/** One image, answered. */
export interface AnsweredImage {
  image: SetImage;
  score: number;
  verdict: string;
  /** Of a tampered image. */
  metrics: PixelMetrics | null;
  seconds: number;
  megapixels: number;
}

/** A group of tampered images: a set, a domain, or a part of one. */
export interface Cell {
  title: string;
  images: number;
  metrics: Record<MetricName, Interval | null>;
  peers: PeerCell[];
}

export interface PeerCell {
  peer: string;
  means: Record<MetricName, number | null>;
  /** Ours less theirs on the same images. */
  difference: Record<MetricName, Interval | null>;
}

/** By domain and, within it, by set; copy-move apart from the rest. */
export function cells(answered: readonly AnsweredImage[], peers: PeerFigures): Cell[] {
  const tampered = answered.filter(({ metrics }) => metrics !== null);
  const result: Cell[] = [];
  for (const [domain, ofDomain] of groups(tampered, ({ image }) => image.domain)) {
    result.push(cell(domain, ofDomain, peers));
    const kinds = groups(ofDomain, ({ image }) => (image.kind === "copy-move" ? "copy-move" : "all but copy-move"));
    if (kinds.size > 1) for (const [kind, ofKind] of kinds) result.push(cell(`${domain}, ${kind}`, ofKind, peers));
    for (const [set, ofSet] of groups(ofDomain, ({ image }) => image.set)) {
      result.push(cell(`${domain} / ${set}`, ofSet, peers));
    }
  }
  if (new Set(tampered.map(({ image }) => image.domain)).size > 1) result.push(cell("all", tampered, peers));
  return result;
}

function cell(title: string, images: readonly AnsweredImage[], peers: PeerFigures): Cell {
  return {
    title,
    images: images.length,
    metrics: byMetric((metric) => meanInterval(images.flatMap(({ metrics }) => metrics?.[metric] ?? []))),
    peers: [...peers].flatMap(([peer, figures]) => peerCell(peer, images, figures) ?? []),
  };
}

/** `null` where the peer has no figure of any of these images. */
function peerCell(
  peer: string,
  images: readonly AnsweredImage[],
  figures: ReadonlyMap<string, PixelMetrics>,
): PeerCell | null {
  const both = images.flatMap(({ image, metrics }) => {
    const theirs = figures.get(image.name);
    return metrics && theirs ? [{ ours: metrics, theirs }] : [];
  });
  if (both.length === 0) return null;
  const paired = (metric: MetricName) =>
    both.flatMap(({ ours, theirs }) => {
      const [our, their] = [ours[metric], theirs[metric]];
      return our === null || their === null ? [] : [{ their, difference: our - their }];
    });
  return {
    peer,
    means: byMetric((metric) => mean(paired(metric).map(({ their }) => their))),
    difference: byMetric((metric) => meanInterval(paired(metric).map(({ difference }) => difference))),
  };
}

export interface ImageLevel {
  tampered: number;
  authentic: number;
  auc: number | null;
  /** At a threshold that calls at most a tenth of the authentic images tampered. */
  truePositives: { rate: number; threshold: number } | null;
  pairs: number;
  pairsWon: number | null;
}

/** How well the score tells tampered from authentic images among natural ones, where content does not give the answer away. */
export function imageLevel(answered: readonly AnsweredImage[]): ImageLevel {
  const natural = answered.filter(({ image }) => image.domain === "natural");
  const tampered = natural.filter(({ image }) => image.tampered);
  const authentic = natural.filter(({ image }) => !image.tampered);
  const scores = (images: readonly AnsweredImage[]) => images.map(({ score }) => score);
  const originals = new Map(authentic.map((answer) => [pairKey(answer.image), answer.score]));
  const pairs = tampered.flatMap(({ image, score }) => {
    const original = originals.get(pairKey(image));
    return original === undefined ? [] : [[score, original] as const];
  });
  return {
    tampered: tampered.length,
    authentic: authentic.length,
    auc: scoreAuc(scores(tampered), scores(authentic)),
    truePositives: truePositiveRate(scores(tampered), scores(authentic), 0.1),
    pairs: pairs.length,
    pairsWon: pairsWon(pairs),
  };
}

function byMetric<Value>(value: (metric: MetricName) => Value): Record<MetricName, Value> {
  return {
    f1: value("f1"),
    iou: value("iou"),
    bestF1: value("bestF1"),
    bestIou: value("bestIou"),
    auc: value("auc"),
  };
}

function groups<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, Item[]> {
  const result = new Map<string, Item[]>();
  for (const item of items) {
    const group = result.get(key(item));
    if (group) group.push(item);
    else result.set(key(item), [item]);
  }
  return result;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
