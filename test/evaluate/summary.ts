/** From figures of images to figures of sets and domains. */
import { groupsInterval, type Interval, meanInterval, pairsInterval } from "./bootstrap.ts";
import { pairsWon, scoreAuc, truePositiveRate } from "./image-metrics.ts";
import { pairKeys, type SetImage } from "./image-set.ts";
import type { PeerFigures } from "./peers.ts";
import type { PixelMetrics } from "./pixel-metrics.ts";

export const metricNames = ["f1", "iou", "bestF1", "bestIou", "auc"] as const satisfies readonly (keyof PixelMetrics)[];
export type MetricName = (typeof metricNames)[number];

/** One image, answered. */
export interface AnsweredImage {
  image: SetImage;
  score: number;
  verdict: string;
  /** What the modal gate chose. */
  modality: "rgb" | "fused";
  /** The share of pixels with probability 0.5 or more. */
  flagged: number;
  /** Of a tampered image. */
  metrics: PixelMetrics | null;
  seconds: number;
  megapixels: number;
  /** A small PNG of the probability map, where sheets are wanted. */
  map: Uint8Array | null;
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

const copyMove = /copy.?move/;

/** By domain and, within it, by set; copy-move apart from the rest. */
export function cells(answered: readonly AnsweredImage[], peers: PeerFigures): Cell[] {
  const tampered = answered.filter(({ metrics }) => metrics !== null);
  const result: Cell[] = [];
  for (const [domain, ofDomain] of groups(tampered, ({ image }) => image.domain)) {
    result.push(cell(domain, ofDomain, peers));
    const kinds = groups(ofDomain, ({ image }) => (copyMove.test(image.kind) ? "copy-move" : "all but copy-move"));
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

/** How well the score tells tampered from authentic images. */
export interface Separation {
  tampered: number;
  authentic: number;
  auc: Interval | null;
  /** Share of the tampered images found where at most a tenth of the authentic ones are called tampered. */
  truePositives: Interval | null;
  threshold: number | null;
}

export interface ImageLevel {
  /** Within one domain: content must not give the answer away. */
  domain: string;
  all: Separation;
  /** Tampered images and their own originals alone. */
  pairs: Separation & { count: number; won: Interval | null };
  /** Mean share of an authentic image's pixels that are called manipulated. */
  authenticFlagged: Interval | null;
}

const falseAlarms = 0.1;

/** For every domain that has both tampered and authentic images. */
export function imageLevels(answered: readonly AnsweredImage[]): ImageLevel[] {
  return [...groups(answered, ({ image }) => image.domain)].flatMap(([domain, images]) => {
    const tampered = images.filter(({ image }) => image.tampered);
    const authentic = images.filter(({ image }) => !image.tampered);
    if (tampered.length === 0 || authentic.length === 0) return [];
    const originals = new Map(
      authentic.flatMap((answer) => pairKeys(answer.image).map((key) => [key, answer] as const)),
    );
    const pairs = tampered.flatMap((forged) => {
      const [original] = pairKeys(forged.image).flatMap((key) => originals.get(key) ?? []);
      return original === undefined ? [] : [{ forged, original }];
    });
    const paired = separation(
      pairs.map(({ forged }) => forged),
      [...new Set(pairs.map(({ original }) => original))],
    );
    const won = pairsInterval(
      pairs.map(({ forged, original }) => [forged.score, original.score] as const),
      pairsWon,
    );
    const authenticFlagged = meanInterval(authentic.map(({ flagged }) => flagged));
    return [
      {
        domain,
        all: separation(tampered, authentic),
        pairs: { ...paired, count: pairs.length, won },
        authenticFlagged,
      },
    ];
  });
}

function separation(tampered: readonly AnsweredImage[], authentic: readonly AnsweredImage[]): Separation {
  const scores = (images: readonly AnsweredImage[]) => images.map(({ score }) => score);
  const [forged, clean] = [scores(tampered), scores(authentic)];
  return {
    tampered: tampered.length,
    authentic: authentic.length,
    auc: groupsInterval(forged, clean, scoreAuc),
    truePositives: groupsInterval(forged, clean, (t, a) => truePositiveRate(t, a, falseAlarms).rate),
    threshold: tampered.length * authentic.length === 0 ? null : truePositiveRate(forged, clean, falseAlarms).threshold,
  };
}

/** In how many images of a domain the gate let the frequency features pass. */
export interface GateShare {
  domain: string;
  images: number;
  fused: number;
}

export function gateShares(answered: readonly AnsweredImage[]): GateShare[] {
  return [...groups(answered, ({ image }) => image.domain)].map(([domain, images]) => ({
    domain,
    images: images.length,
    fused: images.filter(({ modality }) => modality === "fused").length / images.length,
  }));
}

/** What a condition costs: a figure under it, and its difference from the untouched files on the same images. */
export interface ConditionCell {
  title: string;
  f1: Interval | null;
  auc: Interval | null;
  f1Difference: Interval | null;
  aucDifference: Interval | null;
}

export function againstAsIs(asIs: readonly AnsweredImage[], changed: readonly AnsweredImage[]): ConditionCell[] {
  const before = new Map(asIs.map((one) => [one.image.name, one.metrics]));
  const both = changed.flatMap(({ image, metrics: after }) => {
    const metrics = before.get(image.name);
    return metrics && after ? [{ domain: image.domain, before: metrics, after }] : [];
  });
  return [...groups(both, ({ domain }) => domain)].map(([title, images]) => {
    const differences = (metric: "f1" | "auc") =>
      images.flatMap(({ before, after }) => {
        const [old, now] = [before[metric], after[metric]];
        return old === null || now === null ? [] : [{ now, difference: now - old }];
      });
    const [f1, auc] = [differences("f1"), differences("auc")];
    return {
      title,
      f1: meanInterval(f1.map(({ now }) => now)),
      auc: meanInterval(auc.map(({ now }) => now)),
      f1Difference: meanInterval(f1.map(({ difference }) => difference)),
      aucDifference: meanInterval(auc.map(({ difference }) => difference)),
    };
  });
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
