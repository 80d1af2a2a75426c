/** The two-dimensional spectrum of a picture: how fine its detail is, and whether a raster shows through. */
import FFT from "fft.js";
import { median, type Plane } from "../plane.ts";

const size = 256;
/** Windows that the spectrum is averaged over. */
const mostWindows = 9;

/** Mean of the logarithms of the windows' powers: what one window alone has does not show. Rows v, columns u ≥ 0. */
export function meanSpectrum({ data, width, height }: Plane): Float64Array | null {
  if (width < size || height < size) return null;
  const fft = new FFT(size);
  const sum = new Float64Array(size * (size / 2));
  const hann = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / size));
  const columns = Math.min(Math.floor(width / size), Math.floor(Math.sqrt(mostWindows)));
  const rows = Math.min(Math.floor(height / size), Math.floor(mostWindows / columns));
  const place = (i: number, count: number, length: number) =>
    count === 1 ? Math.floor((length - size) / 2) : Math.floor((i * (length - size)) / (count - 1));
  const line = new Float64Array(size);
  const out = new Float64Array(2 * size);
  const half = Array.from({ length: size / 2 }, () => new Float64Array(2 * size));
  for (let window = 0; window < columns * rows; window++) {
    const left = place(window % columns, columns, width);
    const top = place(Math.floor(window / columns), rows, height);
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        line[x] = ((data[(top + y) * width + left + x] ?? 0) - 128) * (hann[x] ?? 0) * (hann[y] ?? 0);
      }
      fft.realTransform(out, line);
      half.forEach((column, u) => {
        column[2 * y] = out[2 * u] ?? 0;
        column[2 * y + 1] = out[2 * u + 1] ?? 0;
      });
    }
    half.forEach((column, u) => {
      fft.transform(out, column);
      for (let v = 0; v < size; v++) {
        const power = (out[2 * v] ?? 0) ** 2 + (out[2 * v + 1] ?? 0) ** 2;
        const at = v * (size / 2) + u;
        sum[at] = (sum[at] ?? 0) + Math.log(power + 1e-3);
      }
    });
  }
  return sum.map((value) => value / (columns * rows));
}

/** Frequency of a row of the spectrum, −.5 to .5. */
function vertical(v: number): number {
  return (v < size / 2 ? v : v - size) / size;
}

/** Power of rounding to whole numbers, 1/12 a pixel, under the window: detail below it is none. */
const roundingPower = Math.log((size * size * 0.375 * 0.375) / 12);

/** The highest frequency, as a fraction of what the pixels could hold, at which there is still detail. */
export function bandwidthOf(spectrum: Float64Array): number {
  const rings = new Float64Array(size / 2);
  const counts = new Float64Array(size / 2);
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size / 2; u++) {
      const ring = Math.round(Math.hypot(u, vertical(v) * size));
      if (ring >= size / 2) continue;
      rings[ring] = (rings[ring] ?? 0) + (spectrum[v * (size / 2) + u] ?? 0);
      counts[ring] = (counts[ring] ?? 0) + 1;
    }
  }
  const ringMeans = rings.map((sum, i) => sum / Math.max(1, counts[i] ?? 1));
  // The mean of a logarithm lies .58 below the logarithm of the mean; 1 above the floor is no longer rounding.
  const last = ringMeans.findLastIndex((value) => value > roundingPower - 0.58 + 1);
  return (last + 1) / (size / 2);
}

export interface Raster {
  /** Isolated lines off both axes. */
  readonly peaks: number;
  /** Nats by which the strongest stands above what is around it. */
  readonly strength: number;
}

/** Distance from a peak within which its own foot lies, and up to which the surroundings are taken. */
const foot = 3;
const surroundings = 9;
/** Nats above the surroundings from which a line is a peak. */
export const peakHeight = 3.2;

/** Lines that stand alone in the whole picture's spectrum, as screens, halftone prints and moiré make them. */
export function rasterOf(spectrum: Float64Array): Raster {
  let peaks = 0;
  let strength = 0;
  const at = (u: number, v: number) => spectrum[((v + size) % size) * (size / 2) + u] ?? 0;
  const lattice = (frequency: number) => Math.abs(frequency * 8 - Math.round(frequency * 8)) < 8 * (2.5 / size);
  for (let v = -size / 2; v < size / 2; v++) {
    for (let u = 8; u < size / 2 - 1; u++) {
      // Axes carry edges of buildings and pages; a JPEG's blocks and colour subsampling show at eighths.
      if (Math.abs(v) < 8 || Math.hypot(u, v) < 20) continue;
      if (lattice(u / size) && lattice(v / size)) continue;
      const value = at(u, v);
      if (value <= at(u - 1, v) || value <= at(u + 1, v) || value <= at(u, v - 1) || value <= at(u, v + 1)) continue;
      if (value < roundingPower + 2) continue;
      // A quick look at four far neighbours first: nearly all maxima are noise.
      if (value - Math.max(at(u - 5, v), at(u, v - 5), at(u, v + 5)) < peakHeight - 1.5) continue;
      const near: number[] = [];
      for (let dv = -surroundings; dv <= surroundings; dv++) {
        for (let du = -surroundings; du <= surroundings; du++) {
          if (Math.max(Math.abs(du), Math.abs(dv)) <= foot) continue;
          if (u + du < 0 || u + du >= size / 2) continue;
          near.push(at(u + du, v + dv));
        }
      }
      const height = value - median(near);
      if (height < peakHeight) continue;
      peaks++;
      strength = Math.max(strength, height);
    }
  }
  return { peaks, strength };
}
