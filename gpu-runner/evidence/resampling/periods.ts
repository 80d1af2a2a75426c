/**
 * Traces of resampling: an interpolated pixel can be foretold from its neighbours, and how well follows a period that the
 * factor sets (Gallagher 2005, Kirchner 2008). The residue of a linear prediction, averaged along the other axis, shows it
 * as a line of its spectrum.
 */
import FFT from "fft.js";
import { median, type Plane } from "../plane.ts";

export interface Period {
  readonly axis: "horizontal" | "vertical";
  /** Cycles a pixel, above 0 and at most .5. */
  readonly frequency: number;
  /** The line against the spectrum around it. */
  readonly strength: number;
}

/** Residues beyond this are edges of the picture. */
const edge = 20;
/** Pixels of a side without which lines of a spectrum cannot be told apart. */
export const shortestSide = 96;
/** Lines on both sides that a line is compared with. */
const around = 24;

/** Mean residues of a row of pixels' columns (or the other way round), each from the pixels on both sides. */
function residues({ data, width, height }: Plane, inside: Uint8Array | null, axis: Period["axis"]): Float64Array {
  const horizontal = axis === "horizontal";
  const length = horizontal ? width : height;
  const stride = horizontal ? 1 : width;
  const sums = new Float64Array(length);
  const counts = new Float64Array(length);
  for (let y = horizontal ? 0 : 1; y < (horizontal ? height : height - 1); y++) {
    for (let x = horizontal ? 1 : 0; x < (horizontal ? width - 1 : width); x++) {
      const at = y * width + x;
      if (inside !== null && inside[at] !== 1) continue;
      const residue = Math.abs((data[at] ?? 0) - ((data[at - stride] ?? 0) + (data[at + stride] ?? 0)) / 2);
      const i = horizontal ? x : y;
      sums[i] = (sums[i] ?? 0) + Math.min(edge, residue);
      counts[i] = (counts[i] ?? 0) + 1;
    }
  }
  return sums.map((sum, i) => (counts[i] ? sum / (counts[i] ?? 1) : Number.NaN));
}

/** The strongest line of an axis, lines that compression to 8×8 blocks makes by itself left out. */
export function strongestPeriod(plane: Plane, axis: Period["axis"], inside: Uint8Array | null = null): Period | null {
  const all = residues(plane, inside, axis);
  const from = all.findIndex((value) => !Number.isNaN(value));
  const to = all.findLastIndex((value) => !Number.isNaN(value)) + 1;
  const length = to - from;
  if (from < 0 || length < shortestSide) return null;
  const size = 2 ** Math.ceil(Math.log2(length * 2));
  const signal = new Float64Array(size);
  for (let i = 0; i < length; i++) {
    // What the picture itself does changes slowly: the mean of some neighbours takes it away.
    let sum = 0;
    let count = 0;
    for (let k = Math.max(0, i - 6); k <= Math.min(length - 1, i + 6); k++) {
      const value = all[from + k] ?? Number.NaN;
      if (Number.isNaN(value)) continue;
      sum += value;
      count++;
    }
    const value = all[from + i] ?? Number.NaN;
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length);
    signal[i] = Number.isNaN(value) || count === 0 ? 0 : (value - sum / count) * window;
  }
  const fft = new FFT(size);
  const spectrum = new Float64Array(2 * size);
  fft.realTransform(spectrum, signal);
  const magnitudes = Float64Array.from({ length: size / 2 + 1 }, (_, i) =>
    Math.hypot(spectrum[2 * i] ?? 0, spectrum[2 * i + 1] ?? 0),
  );
  // Zero padding to at least twice the length spreads a line over so many bins.
  const spreadBins = Math.ceil((3 * size) / length);
  const nearLattice = (i: number) => {
    const eighth = (i * 8) / size;
    return Math.abs(eighth - Math.round(eighth)) * (size / 8) <= spreadBins;
  };
  let best: Period | null = null;
  for (let i = Math.ceil(0.04 * size); i <= size / 2; i++) {
    const value = magnitudes[i] ?? 0;
    if (nearLattice(i) || value < (magnitudes[i - 1] ?? 0) || value < (magnitudes[i + 1] ?? 0)) continue;
    const neighbours: number[] = [];
    for (let k = spreadBins; k < spreadBins + around * 2; k++) {
      for (const j of [i - k, i + k]) {
        if (j > 0 && j <= size / 2 && !nearLattice(j)) neighbours.push(magnitudes[j] ?? 0);
      }
    }
    const strength = value / Math.max(median(neighbours), 1e-6);
    if (best === null || strength > best.strength) best = { axis, frequency: i / size, strength };
  }
  return best;
}

/**
 * Factors from .5 to 4 that leave a line at this frequency: by the period of the interpolation itself, or by that of the
 * 8×8 blocks which the picture had before.
 */
export function factorsOf(frequency: number): number[] {
  const factors = [1 / frequency, 1 / (1 - frequency), 1 / (1 + frequency), 1 / (8 * frequency)];
  const rounded = factors.map((factor) => Math.round(factor * 100) / 100);
  return [...new Set(rounded.filter((factor) => factor >= 0.5 && factor <= 4))];
}
