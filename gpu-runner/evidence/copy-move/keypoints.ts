/**
 * Places that can be found again: corners with an orientation and a normalised patch around them (multi-scale oriented
 * patches, Brown, Szeliski and Winder 2005). They survive shifting, turning, moderate scaling and compression.
 */
import type { Plane } from "../plane.ts";

export interface Keypoint {
  /** In pixels of the plane that was asked for. */
  readonly x: number;
  readonly y: number;
  /** Radians. */
  readonly angle: number;
  /** Pixels of the plane that a pixel of the patch covers. */
  readonly scale: number;
}

export interface Keypoints {
  readonly points: readonly Keypoint[];
  /** `descriptorLength` values a point: mean 0, length 1. */
  readonly descriptors: Float32Array;
}

export const patchSide = 8;
export const descriptorLength = patchSide * patchSide;
/** Pixels of a level between the samples of a patch. */
const spacing = 2;
/** Of a level: the patch's half diagonal with its spacing, and a margin. */
const margin = Math.ceil(patchSide * spacing * 0.71) + 3;
/** Standard deviation of a patch, in grey levels, below which it shows nothing to recognise. */
const leastContrast = 4;

export function findKeypoints(plane: Plane, most: number): Keypoints {
  const levels = [blurred(plane)];
  for (let i = 1; i < 4; i++) {
    const next = shrunk(levels[i - 1] ?? plane);
    if (Math.min(next.width, next.height) < 4 * margin) break;
    levels.push(next);
  }
  const points: Keypoint[] = [];
  const patches: Float32Array[] = [];
  levels.forEach((level, i) => {
    const factor = plane.width / level.width;
    // Each coarser level holds fewer places.
    for (const { x, y } of corners(level, Math.round((most * 0.6) / 2 ** i))) {
      const angle = orientationAt(level, x, y);
      const patch = patchAt(level, x, y, angle);
      if (patch === null) continue;
      points.push({ x: (x + 0.5) * factor - 0.5, y: (y + 0.5) * factor - 0.5, angle, scale: factor });
      patches.push(patch);
    }
  });
  const descriptors = new Float32Array(patches.length * descriptorLength);
  for (const [i, patch] of patches.entries()) descriptors.set(patch, i * descriptorLength);
  return { points, descriptors };
}

/** A 1-2-1 filter both ways: noise and compression must not make corners. */
export function blurred({ data, width, height }: Plane): Plane {
  const across = new Float32Array(data.length);
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    const end = y * width + width - 1;
    let left = data[y * width] ?? 0;
    let middle = left;
    for (let at = y * width; at < end; at++) {
      const right = data[at + 1] ?? 0;
      across[at] = (left + 2 * middle + right) / 4;
      left = middle;
      middle = right;
    }
    across[end] = (left + 3 * middle) / 4;
  }
  for (let y = 0; y < height; y++) {
    const above = y > 0 ? -width : 0;
    const below = y < height - 1 ? width : 0;
    const end = (y + 1) * width;
    for (let at = y * width; at < end; at++) {
      out[at] = ((across[at + above] ?? 0) + 2 * (across[at] ?? 0) + (across[at + below] ?? 0)) / 4;
    }
  }
  return { data: out, width, height };
}

/** Two thirds of the size, smoothed first: steps between octaves are too far apart for patches. */
function shrunk(plane: Plane): Plane {
  const source = blurred(plane);
  const width = Math.floor(plane.width / 1.5);
  const height = Math.floor(plane.height / 1.5);
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * width + x] = sample(source, (x + 0.5) * 1.5 - 0.5, (y + 0.5) * 1.5 - 0.5);
  }
  return { data, width, height };
}

/** Bilinear. */
export function sample({ data, width, height }: Plane, x: number, y: number): number {
  const left = Math.min(width - 2, Math.max(0, Math.floor(x)));
  const top = Math.min(height - 2, Math.max(0, Math.floor(y)));
  const fx = x - left;
  const fy = y - top;
  const at = top * width + left;
  return (
    ((data[at] ?? 0) * (1 - fx) + (data[at + 1] ?? 0) * fx) * (1 - fy) +
    ((data[at + width] ?? 0) * (1 - fx) + (data[at + width + 1] ?? 0) * fx) * fy
  );
}

/**
 * The harmonic mean of the structure tensor's eigenvalues, smoothed by 1-4-6-4-1 both ways. Row by row: what is between
 * the picture and the response stays in the processor's cache. The outermost three pixels of each side hold nothing.
 */
function cornerResponse({ data, width, height }: Plane): Float32Array {
  const response = new Float32Array(width * height);
  const [xx, yy, xy] = [new Float32Array(width), new Float32Array(width), new Float32Array(width)];
  // The last five rows, smoothed across.
  const ring = Array.from({ length: 15 }, () => new Float32Array(width));
  const across = (from: Float32Array, to: Float32Array | undefined) => {
    if (to === undefined) return;
    for (let x = 3; x < width - 3; x++) {
      to[x] =
        (from[x - 2] ?? 0) + (from[x + 2] ?? 0) + 4 * ((from[x - 1] ?? 0) + (from[x + 1] ?? 0)) + 6 * (from[x] ?? 0);
    }
  };
  const empty = new Float32Array(0);
  const row = (y: number, product: number) => ring[3 * (y % 5) + product] ?? empty;
  for (let y = 1; y < height - 1; y++) {
    const start = y * width;
    for (let x = 1; x < width - 1; x++) {
      const at = start + x;
      const dx = (data[at + 1] ?? 0) - (data[at - 1] ?? 0);
      const dy = (data[at + width] ?? 0) - (data[at - width] ?? 0);
      xx[x] = dx * dx;
      yy[x] = dy * dy;
      xy[x] = dx * dy;
    }
    across(xx, row(y, 0));
    across(yy, row(y, 1));
    across(xy, row(y, 2));
    if (y < 5) continue;
    const middle = y - 2;
    const rows = [-2, -1, 0, 1, 2].map((below) => [0, 1, 2].map((product) => row(middle + below, product)));
    const [[a0, b0, c0] = [], [a1, b1, c1] = [], [a2, b2, c2] = [], [a3, b3, c3] = [], [a4, b4, c4] = []] = rows;
    if (!a0 || !b0 || !c0 || !a1 || !b1 || !c1 || !a2 || !b2 || !c2 || !a3 || !b3 || !c3 || !a4 || !b4 || !c4) continue;
    const at = middle * width;
    // Both filters add up to 16, and each gradient is twice the slope.
    const unit = 1 / (16 * 16 * 4);
    for (let x = 3; x < width - 3; x++) {
      const sumXX = (a0[x] ?? 0) + (a4[x] ?? 0) + 4 * ((a1[x] ?? 0) + (a3[x] ?? 0)) + 6 * (a2[x] ?? 0);
      const sumYY = (b0[x] ?? 0) + (b4[x] ?? 0) + 4 * ((b1[x] ?? 0) + (b3[x] ?? 0)) + 6 * (b2[x] ?? 0);
      const sumXY = (c0[x] ?? 0) + (c4[x] ?? 0) + 4 * ((c1[x] ?? 0) + (c3[x] ?? 0)) + 6 * (c2[x] ?? 0);
      const trace = (sumXX + sumYY) * unit;
      response[at + x] = trace < 1e-3 ? 0 : ((sumXX * sumYY - sumXY * sumXY) * unit * unit) / trace;
    }
  }
  return response;
}

/** Maxima of the corner response, spread over the picture by cells. */
function corners(plane: Plane, most: number): { x: number; y: number }[] {
  const { width, height } = plane;
  const response = cornerResponse(plane);
  const cell = Math.max(16, Math.sqrt((width * height) / (most / 4)));
  const cells = new Map<number, { x: number; y: number; response: number }[]>();
  const perRow = Math.ceil(width / cell);
  for (let y = margin; y < height - margin; y++) {
    for (let x = margin; x < width - margin; x++) {
      const at = y * width + x;
      const value = response[at] ?? 0;
      // The nearest first: they end it for nearly every pixel.
      if (value < 0.5 || (response[at - 1] ?? 0) > value || (response[at + 1] ?? 0) > value) continue;
      if ((response[at - width] ?? 0) > value || (response[at + width] ?? 0) > value) continue;
      let highest = true;
      for (let v = -2; v <= 2 && highest; v++) {
        for (let u = -2; u <= 2; u++) {
          if ((response[at + v * width + u] ?? 0) > value) {
            highest = false;
            break;
          }
        }
      }
      if (!highest) continue;
      const key = Math.floor(y / cell) * perRow + Math.floor(x / cell);
      const members = cells.get(key);
      if (members === undefined) cells.set(key, [{ x, y, response: value }]);
      else members.push({ x, y, response: value });
    }
  }
  const chosen = [...cells.values()].flatMap((members) => {
    members.sort((a, b) => b.response - a.response);
    return members.slice(0, 10).map((member, rank) => ({ ...member, rank }));
  });
  // The best of every cell first, then the second of every cell.
  chosen.sort((a, b) => a.rank - b.rank || b.response - a.response);
  return chosen.slice(0, most);
}

/** Of a neighbourhood's pixels, row by row: a Gaussian of 3 pixels. */
const orientationReach = 6;
const orientationSide = 2 * orientationReach + 1;
const orientationWeights = Float64Array.from({ length: orientationSide ** 2 }, (_, i) => {
  const [u, v] = [(i % orientationSide) - orientationReach, Math.floor(i / orientationSide) - orientationReach];
  return Math.exp(-(u * u + v * v) / 18);
});

/** The direction of the gradient of a wide neighbourhood. */
function orientationAt({ data, width }: Plane, x: number, y: number): number {
  let sumX = 0;
  let sumY = 0;
  let i = 0;
  for (let v = -orientationReach; v <= orientationReach; v++) {
    for (let u = -orientationReach; u <= orientationReach; u++) {
      const weight = orientationWeights[i++] ?? 0;
      const at = (y + v) * width + x + u;
      sumX += weight * ((data[at + 1] ?? 0) - (data[at - 1] ?? 0));
      sumY += weight * ((data[at + width] ?? 0) - (data[at - width] ?? 0));
    }
  }
  return Math.atan2(sumY, sumX);
}

function patchAt(plane: Plane, x: number, y: number, angle: number): Float32Array | null {
  const patch = new Float32Array(descriptorLength);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  let mean = 0;
  for (let v = 0; v < patchSide; v++) {
    for (let u = 0; u < patchSide; u++) {
      const px = (u - (patchSide - 1) / 2) * spacing;
      const py = (v - (patchSide - 1) / 2) * spacing;
      const value = sample(plane, x + cos * px - sin * py, y + sin * px + cos * py);
      patch[v * patchSide + u] = value;
      mean += value / descriptorLength;
    }
  }
  let power = 0;
  for (let i = 0; i < descriptorLength; i++) {
    const value = (patch[i] ?? 0) - mean;
    patch[i] = value;
    power += value * value;
  }
  if (power < leastContrast ** 2 * descriptorLength) return null;
  const length = Math.sqrt(power);
  for (let i = 0; i < descriptorLength; i++) patch[i] = (patch[i] ?? 0) / length;
  return patch;
}
