/**
 * Copy-move: pairs of places that show the same, not only alike: keypoints that match, a similarity (shift, turn, scale)
 * that many of them share, and pixels that agree under it to the grain.
 */
import { type Component, connectedComponents } from "../../result/components.ts";
import { contourOf } from "../../result/contour.ts";
import type { Plane, Point } from "../plane.ts";
import { blurred, descriptorLength, findKeypoints, type Keypoint, patchSide, sample } from "./keypoints.ts";

/** From one place to the other: (x, y) ↦ (a·x − b·y + x0, b·x + a·y + y0). */
interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly x0: number;
  readonly y0: number;
}

/** A place and the one that shows the same. */
export interface PairOfPlaces {
  readonly first: readonly Point[];
  readonly second: readonly Point[];
}

export interface Copy extends PairOfPlaces {
  /** With all around them that agrees more loosely: where noise or another saving hides that it is the same. */
  readonly whole: PairOfPlaces;
  /** Mean correlation of the two places' neighbourhoods of 9×9 pixels, at most 1. */
  readonly similarity: number;
  /** Correlation of their finest detail alone: two windows of a house are alike, but do not share their grain. */
  readonly grain: number;
  readonly scale: number;
  /** Degrees clockwise from `first` to `second`. */
  readonly rotation: number;
  /** Pixels of `first`. */
  readonly area: number;
}

export interface CopyFinding {
  readonly copies: readonly Copy[];
  readonly keypoints: number;
}

const mostKeypoints = 1200;
/** The same where letters repeat: what they match is looked through for nothing, and a copy that counts is large. */
const mostPrintedKeypoints = 600;
/** Cosine of two patches from which they can be of the same thing. */
const leastMatch = 0.9;
/** The best match must be this much nearer than the next one elsewhere: repeated patterns match everywhere. */
const nearer = 0.7;
/** Matches that agree on one similarity. */
const fewestInliers = 5;
/** Pixels by which an inlier may miss. */
const tolerance = 2.5;
/** Cosine of the angle, and the factor, by which keypoints may miss the similarity that joins them. */
const leastTurn = 0.9;
const mostScale = 1.7;
/** Neighbours with which a match is tried. */
const mostPartners = 40;
/** Copies reported. */
const mostCopies = 4;
/** Correlation of 9×9 pixels from which they show the same. */
const leastCorrelation = 0.9;
/** Down to which what lies around that still belongs to it. */
const leastAround = 0.7;
/** Standard deviation of 9×9 pixels below which everything is alike. */
const leastTexture = 3;
/** Of the plane: a smaller copy is a coincidence. */
const leastArea = 0.0015;
const leastPixels = 300;
/** Pixels around the matches in which a copy is looked for first. */
const leastReach = 48;

interface Match {
  readonly from: Keypoint;
  readonly to: Keypoint;
}

/** The dot product of `length` values from the `a`th on with those from the `b`th on; `length` is a multiple of 4. */
function dot(values: Float32Array, a: number, b: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k += 4) {
    sum +=
      (values[a + k] ?? 0) * (values[b + k] ?? 0) +
      (values[a + k + 1] ?? 0) * (values[b + k + 1] ?? 0) +
      (values[a + k + 2] ?? 0) * (values[b + k + 2] ?? 0) +
      (values[a + k + 3] ?? 0) * (values[b + k + 3] ?? 0);
  }
  return sum;
}

/** Values of an outline. */
const outlineLength = 8;

/**
 * The cosine transform's basis for the outlines of patches, the coarse ones and then the finer ones: all pairs of the
 * three, and then of the four lowest frequencies. The mean, the very first, is 0 in every patch.
 */
const outlineBases: readonly Float32Array[] = Array.from({ length: 16 }, (_, i) => [i % 4, i >> 2] as const)
  .filter(([u, v]) => u + v > 0)
  .toSorted(([u, v], [s, t]) => Math.max(u, v) - Math.max(s, t))
  .map(([u, v]) => {
    const wave = (k: number, x: number) =>
      (k === 0 ? Math.SQRT1_2 : 1) * Math.cos(((2 * x + 1) * k * Math.PI) / (2 * patchSide));
    return Float32Array.from(
      { length: descriptorLength },
      (_, at) => (2 / patchSide) * wave(u, at % patchSide) * wave(v, Math.floor(at / patchSide)),
    );
  });

interface Outlines {
  /** `outlineLength` values a patch. */
  readonly values: Float32Array;
  /** The length of what the outlines so far leave of each patch. */
  readonly rest: Float32Array;
}

/** Of each patch its coarse outline, and what the finer one adds to it. */
function outlinesOf(descriptors: Float32Array, count: number): [coarse: Outlines, finer: Outlines] {
  const power = new Float64Array(count).fill(1);
  const outlines = (bases: readonly Float32Array[]): Outlines => {
    const values = new Float32Array(count * outlineLength);
    for (let i = 0; i < count; i++) {
      bases.forEach((basis, k) => {
        let value = 0;
        for (let at = 0; at < descriptorLength; at++) {
          value += (descriptors[i * descriptorLength + at] ?? 0) * (basis[at] ?? 0);
        }
        values[i * outlineLength + k] = value;
        power[i] = (power[i] ?? 0) - value * value;
      });
    }
    return { values, rest: Float32Array.from(power, (left) => Math.sqrt(Math.max(0, left))) };
  };
  return [outlines(outlineBases.slice(0, outlineLength)), outlines(outlineBases.slice(outlineLength))];
}

/**
 * Finds those patches from index `from` on whose cosine with the `i`th is `least` or more, until `found` answers false.
 *
 * @returns whether it never did
 */
type Scan = (i: number, from: number, least: number, found: (j: number, cosine: number) => boolean) => boolean;

function scanOf(points: readonly Keypoint[], descriptors: Float32Array, apart: number): Scan {
  const [{ values, rest }, finer] = outlinesOf(descriptors, points.length);
  const [xs, ys] = [Float64Array.from(points, ({ x }) => x), Float64Array.from(points, ({ y }) => y)];
  return (i, from, least, found) => {
    const [x = 0, y = 0] = [xs[i], ys[i]];
    const [left = 0, leftFiner = 0] = [rest[i], finer.rest[i]];
    const own = values.subarray(i * outlineLength);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = own;
    for (let j = from; j < points.length; j++) {
      // Cauchy and Schwarz: what the outlines leave can add no more than the product of its lengths.
      const at = j * outlineLength;
      const likeness =
        a * (values[at] ?? 0) +
        b * (values[at + 1] ?? 0) +
        c * (values[at + 2] ?? 0) +
        d * (values[at + 3] ?? 0) +
        e * (values[at + 4] ?? 0) +
        f * (values[at + 5] ?? 0) +
        g * (values[at + 6] ?? 0) +
        h * (values[at + 7] ?? 0);
      if (likeness + left * (rest[j] ?? 0) < least) continue;
      const closer = likeness + dot(finer.values, i * outlineLength, at, outlineLength);
      if (closer + leftFiner * (finer.rest[j] ?? 0) < least) continue;
      if (Math.abs(x - (xs[j] ?? 0)) + Math.abs(y - (ys[j] ?? 0)) < apart) continue;
      const cosine = dot(descriptors, i * descriptorLength, j * descriptorLength, descriptorLength);
      if (cosine >= least && !found(j, cosine)) return false;
    }
    return true;
  };
}

/** For each keypoint the nearest place elsewhere in the picture, where it is much nearer than the next one. */
function matchKeypoints(points: readonly Keypoint[], descriptors: Float32Array, apart: number): Match[] {
  const scan = scanOf(points, descriptors, apart);
  const nearest = new Int32Array(points.length).fill(-1);
  const cosines = new Float64Array(points.length);
  const consider = (i: number, j: number, cosine: number) => {
    if (cosine <= (cosines[i] ?? 0)) return;
    nearest[i] = j;
    cosines[i] = cosine;
  };
  for (let i = 0; i < points.length; i++) {
    scan(i, i + 1, leastMatch, (j, cosine) => {
      consider(i, j, cosine);
      consider(j, i, cosine);
      return true;
    });
  }
  return points.flatMap((from, i) => {
    const to = points[nearest[i] ?? -1];
    if (to === undefined) return [];
    // Distances of unit vectors: √(2 − 2 cos). What is beside the nearest is no place of its own.
    const tooNear = 1 - (1 - (cosines[i] ?? 0)) / nearer ** 2;
    return scan(i, 0, tooNear, (j) => near(to, points[j], 4)) ? [{ from, to }] : [];
  });
}

function near(a: Keypoint | undefined, b: Keypoint | undefined, distance: number): boolean {
  return a !== undefined && b !== undefined && Math.abs(a.x - b.x) <= distance && Math.abs(a.y - b.y) <= distance;
}

function apply({ a, b, x0, y0 }: Similarity, x: number, y: number): [number, number] {
  return [a * x - b * y + x0, b * x + a * y + y0];
}

function fits({ a, b, x0, y0 }: Similarity, { from, to }: Match): boolean {
  const dx = a * from.x - b * from.y + x0 - to.x;
  const dy = b * from.x + a * from.y + y0 - to.y;
  return dx * dx + dy * dy <= tolerance * tolerance;
}

/** Whether a similarity turns and scales as a match's own two places do: most chance pairs end here. */
function turnsLike({ a, b }: Similarity, { from, to }: Match): boolean {
  const turn = Math.atan2(b, a) - (to.angle - from.angle);
  const ratio = (Math.hypot(a, b) * from.scale) / to.scale;
  return Math.cos(turn) >= leastTurn && ratio <= mostScale && ratio >= 1 / mostScale;
}

function throughTwo(p: Match, q: Match): Similarity | null {
  const dx = q.from.x - p.from.x;
  const dy = q.from.y - p.from.y;
  const length = dx * dx + dy * dy;
  if (length < 36) return null;
  const ex = q.to.x - p.to.x;
  const ey = q.to.y - p.to.y;
  const a = (ex * dx + ey * dy) / length;
  const b = (ey * dx - ex * dy) / length;
  const scale = Math.hypot(a, b);
  if (scale < 0.5 || scale > 2) return null;
  return { a, b, x0: p.to.x - a * p.from.x + b * p.from.y, y0: p.to.y - b * p.from.x - a * p.from.y };
}

/** Least squares over the matches that fit. */
function refine(matches: readonly Match[]): Similarity {
  const n = matches.length;
  const mean = (of: (match: Match) => number) => matches.reduce((sum, match) => sum + of(match), 0) / n;
  const fx = mean(({ from }) => from.x);
  const fy = mean(({ from }) => from.y);
  const tx = mean(({ to }) => to.x);
  const ty = mean(({ to }) => to.y);
  let dot = 0;
  let cross = 0;
  let power = 0;
  for (const { from, to } of matches) {
    const [x, y, u, v] = [from.x - fx, from.y - fy, to.x - tx, to.y - ty];
    dot += x * u + y * v;
    cross += x * v - y * u;
    power += x * x + y * y;
  }
  const a = dot / power;
  const b = cross / power;
  return { a, b, x0: tx - a * fx + b * fy, y0: ty - b * fx - a * fy };
}

/** The similarity that most matches near each other share. */
function bestSimilarity(matches: readonly Match[], reach: number): { similarity: Similarity; inliers: Match[] } | null {
  let best: { similarity: Similarity; inliers: Match[] } | null = null;
  for (const p of matches) {
    const partners = matches
      .filter((q) => q !== p && Math.hypot(q.from.x - p.from.x, q.from.y - p.from.y) < reach)
      .slice(0, mostPartners);
    for (const q of partners) {
      const similarity = throughTwo(p, q);
      if (similarity === null || !turnsLike(similarity, p) || !turnsLike(similarity, q)) continue;
      const inliers = matches.filter((match) => fits(similarity, match));
      if (inliers.length > (best?.inliers.length ?? fewestInliers - 1)) best = { similarity, inliers };
    }
  }
  if (best === null) return null;
  const similarity = refine(best.inliers);
  return { similarity, inliers: matches.filter((match) => fits(similarity, match)) };
}

/** A part of the plane. */
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Where the picture agrees with itself under a similarity, inside a box: correlation of 9×9 pixels as 0 to 255. */
function agreement(plane: Plane, similarity: Similarity, box: Box): Uint8Array {
  const { width, height } = box;
  const one = new Float32Array(width * height);
  const other = new Float32Array(width * height);
  const valid = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = apply(similarity, x + box.x, y + box.y);
      if (u < 0 || v < 0 || u > plane.width - 1 || v > plane.height - 1) continue;
      const at = y * width + x;
      one[at] = plane.data[(y + box.y) * plane.width + x + box.x] ?? 0;
      other[at] = sample(plane, u, v);
      valid[at] = 1;
    }
  }
  const sums = (values: Float32Array) => boxSums(values, width, height);
  const [n, sa, sb] = [sums(valid), sums(one), sums(other)];
  const [aa, bb, ab] = [sums(product(one, one)), sums(product(other, other)), sums(product(one, other))];
  const out = new Uint8Array(width * height);
  for (let i = 0; i < out.length; i++) {
    const count = n[i] ?? 0;
    if (count < 60) continue;
    const va = (aa[i] ?? 0) / count - ((sa[i] ?? 0) / count) ** 2;
    const vb = (bb[i] ?? 0) / count - ((sb[i] ?? 0) / count) ** 2;
    if (va < leastTexture ** 2 || vb < leastTexture ** 2) continue;
    const covariance = (ab[i] ?? 0) / count - ((sa[i] ?? 0) / count) * ((sb[i] ?? 0) / count);
    out[i] = Math.round(255 * Math.min(1, Math.max(0, covariance / Math.sqrt(va * vb))));
  }
  return out;
}

function product(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) * (b[i] ?? 0);
  return out;
}

/** Correlation of the finest detail of a part, whose runs are in pixels of the plane, and of the place it matches. */
function grainOf(fine: Plane, similarity: Similarity, runs: Component["runs"]): number {
  let product = 0;
  let first = 0;
  let second = 0;
  for (const { y, from, to } of runs) {
    for (let x = from; x < to; x++) {
      const p = fine.data[y * fine.width + x] ?? 0;
      const q = sample(fine, ...apply(similarity, x, y));
      product += p * q;
      first += p * p;
      second += q * q;
    }
  }
  return product / Math.max(1e-9, Math.sqrt(first * second));
}

/** What a 1-2-1 filter takes away. */
function fineDetail(plane: Plane): Plane {
  const smooth = blurred(plane);
  const data = new Float32Array(plane.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (plane.data[i] ?? 0) - (smooth.data[i] ?? 0);
  return { ...plane, data };
}

/** Sums over 9×9 pixels around each. */
function boxSums(values: Float32Array, width: number, height: number): Float64Array {
  const reach = 4;
  const rows = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    let sum = 0;
    for (let x = -reach; x < width; x++) {
      if (x + reach < width) sum += values[y * width + x + reach] ?? 0;
      if (x - reach - 1 >= 0) sum -= values[y * width + x - reach - 1] ?? 0;
      if (x >= 0) rows[y * width + x] = sum;
    }
  }
  const out = new Float64Array(width * height);
  for (let x = 0; x < width; x++) {
    let sum = 0;
    for (let y = -reach; y < height; y++) {
      if (y + reach < height) sum += rows[(y + reach) * width + x] ?? 0;
      if (y - reach - 1 >= 0) sum -= rows[(y - reach - 1) * width + x] ?? 0;
      if (y >= 0) out[y * width + x] = sum;
    }
  }
  return out;
}

/** @param printed whether the picture is one of text */
export function findCopies(plane: Plane, printed: boolean): CopyFinding {
  const { width, height } = plane;
  const { points, descriptors } = findKeypoints(plane, printed ? mostPrintedKeypoints : mostKeypoints);
  const side = Math.max(width, height);
  let matches = matchKeypoints(points, descriptors, Math.max(24, side / 40));
  const copies: Copy[] = [];
  let fine: Plane | null = null;
  for (let attempt = 0; attempt < (printed ? mostCopies : 2 * mostCopies) && copies.length < mostCopies; attempt++) {
    const found = bestSimilarity(matches, side / 4);
    if (found === null) break;
    const { similarity, inliers } = found;
    // What this similarity explains, in either direction, is explained.
    matches = matches.filter(
      (match) => !fits(similarity, match) && !fits(similarity, { from: match.to, to: match.from }),
    );
    const part = inliers.length < fewestInliers ? null : agreeingPart(plane, similarity, inliers);
    if (part === null) continue;
    fine ??= fineDetail(plane);
    copies.push(copyOf(part, similarity, fine));
  }
  return { copies, keypoints: points.length };
}

/** What agrees around matches. */
interface Agreeing {
  readonly part: Component;
  /** With what agrees more loosely. */
  readonly whole: Component;
}

/** The part that agrees around the matches; null where what agrees is too little to be a copy. */
function agreeingPart(plane: Plane, similarity: Similarity, inliers: readonly Match[]): Agreeing | null {
  const smallest = Math.max(leastPixels, leastArea * plane.width * plane.height);
  const xs = inliers.map(({ from }) => from.x);
  const ys = inliers.map(({ from }) => from.y);
  const extent = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  // Looked at around the matches first, and farther where it goes on.
  for (let reach = Math.max(leastReach, extent / 2); ; reach *= 3) {
    const x = Math.max(0, Math.floor(Math.min(...xs) - reach));
    const y = Math.max(0, Math.floor(Math.min(...ys) - reach));
    const right = Math.min(plane.width, Math.ceil(Math.max(...xs) + reach));
    const bottom = Math.min(plane.height, Math.ceil(Math.max(...ys) + reach));
    const box = { x, y, width: right - x, height: bottom - y };
    const map = { data: agreement(plane, similarity, box), width: box.width, height: box.height };
    const parts = connectedComponents(map, leastCorrelation, smallest).filter(({ runs }) =>
      // Somewhere in it are matches: agreement alone is found between any two straight edges.
      inliers.some(({ from }) =>
        runs.some((run) => Math.abs(from.y - y - run.y) < 1 && from.x - x >= run.from - 1 && from.x - x < run.to + 1),
      ),
    );
    const part = parts.reduce<Component | null>((a, b) => (a === null || b.area > a.area ? b : a), null);
    if (part === null) return null;
    const cutOff = part.runs.some(
      (run) =>
        (run.from === 0 && x > 0) ||
        (run.to === box.width && right < plane.width) ||
        (run.y === 0 && y > 0) ||
        (run.y === box.height - 1 && bottom < plane.height),
    );
    if (cutOff) continue;
    const [start] = part.runs;
    const whole = connectedComponents(map, leastAround, part.area).find(({ runs }) =>
      runs.some((run) => run.y === start?.y && run.from <= start.from && run.to > start.from),
    );
    const inPlane = ({ runs, ...rest }: Component): Component => ({
      ...rest,
      runs: runs.map((run) => ({ y: run.y + y, from: run.from + x, to: run.to + x })),
    });
    return { part: inPlane(part), whole: inPlane(whole ?? part) };
  }
}

function pairOf({ runs }: Component, similarity: Similarity): PairOfPlaces {
  const left = Math.min(...runs.map(({ from }) => from));
  const right = Math.max(...runs.map(({ to }) => to));
  const top = runs[0]?.y ?? 0;
  const box = { x: left, y: top, width: right - left, height: (runs.at(-1)?.y ?? 0) + 1 - top };
  const first = contourOf(runs, box);
  return { first, second: first.map(([x, y]) => apply(similarity, x, y)) };
}

function copyOf({ part, whole }: Agreeing, similarity: Similarity, fine: Plane): Copy {
  const { runs, area, sum } = part;
  const { a, b } = similarity;
  return {
    ...pairOf(part, similarity),
    whole: pairOf(whole, similarity),
    similarity: sum / area / 255,
    grain: grainOf(fine, similarity, runs),
    scale: Math.hypot(a, b),
    rotation: (Math.atan2(b, a) * 180) / Math.PI,
    area,
  };
}
