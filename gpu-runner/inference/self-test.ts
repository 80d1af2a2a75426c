/**
 * Proves at start that a device computes what the release was measured with, or that it must not serve.
 *
 * From Ampere on NVIDIA's libraries compute fp32 convolutions in TF32 unless told otherwise: 10 bits of mantissa instead
 * of 23. In the finished map that would be lost among thresholds and saturation, so it is looked for where nothing hides
 * it, in one convolution; a real tile through the whole model then shows that everything else fits as well.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { decodeImage } from "../image/decode.ts";
import type { LoadCommand } from "./protocol.ts";
import {
  type Convolution,
  gateDecides,
  loadConvolution,
  loadSession,
  type ModelInput,
  type Session,
} from "./session.ts";

const folder = new URL("./self-test/", import.meta.url);
/**
 * Largest difference of two fp32 convolutions, against the output's root mean square. Sums of 576 products differ by
 * about 2e-6 from order alone; rounding the factors to TF32 makes it 1e-3.
 */
const largestConvolutionError = 1e-4;
/** Bounds of the model contract on a map: any value, and the share of values that differ by more than one step. */
const largestStep = 8;
const largestShareOff = 0.001;
/** So near its middle a gate may fall to either side. */
const gateMargin = 0.05;
const largestScoreError = 1e-3;

/** Numbers in [-1, 1) that are the same everywhere (a linear congruential generator, Numerical Recipes). */
export function pseudoRandom(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** @throws Error that says by how much the device's convolution is off. */
export async function proveFullPrecision(device: Convolution, cpu: Convolution): Promise<void> {
  const x = pseudoRandom(64 * 32 * 32, 1);
  const w = pseudoRandom(64 * 64 * 9, 2);
  const [found, expected] = await Promise.all([device(x, w), cpu(x, w)]);
  let squares = 0;
  let largest = 0;
  expected.forEach((value, i) => {
    squares += value * value;
    largest = Math.max(largest, Math.abs(value - (found[i] ?? Number.NaN)));
  });
  const error = largest / Math.sqrt(squares / expected.length);
  if (!(error < largestConvolutionError)) {
    throw new Error(
      `a convolution is off by ${error.toExponential(1)} of its scale: the device does not compute in fp32 (is TF32 on?)`,
    );
  }
}

/** @throws Error that names what is outside the bounds of the model contract. */
export async function proveParity(device: Session, cpu: Session, tile: ModelInput): Promise<void> {
  const [found, expected] = [await device.run(tile), await cpu.run(tile)];
  let largest = 0;
  let off = 0;
  expected.probability.forEach((value, i) => {
    const difference = Math.abs(value - (found.probability[i] ?? Number.NaN));
    // Written so that a missing value counts as off.
    if (!(difference <= 1)) off++;
    if (!(difference <= largest)) largest = difference;
  });
  const share = off / expected.probability.length;
  if (!(largest <= largestStep && share <= largestShareOff)) {
    throw new Error(
      `the map of a tile is not the CPU's: up to ${largest}/255 off, ${(100 * share).toFixed(2)} % by more than one step`,
    );
  }
  expected.gate.forEach((gate, i) => {
    const other = found.gate[i] ?? Number.NaN;
    if (Math.abs(gate - 0.5) > gateMargin && other > 0.5 !== gate > 0.5) {
      throw new Error(`the gate chooses another modality than the CPU's: ${other} instead of ${gate}`);
    }
  });
  expected.score.forEach((score, i) => {
    const other = found.score[i] ?? Number.NaN;
    if (!(Math.abs(score - other) < largestScoreError)) {
      throw new Error(`the network's score is not the CPU's: ${other} instead of ${score}`);
    }
  });
}

/** 256×256 pixels of a forged photograph, as a JPEG with its table. */
export async function selfTestTile(): Promise<ModelInput> {
  const { pixels, width, height, qtable } = await decodeImage(await readFile(new URL("tile.jpg", folder)), 1e6);
  return {
    count: 1,
    height,
    width,
    pixels,
    qtable,
    jpeg: Uint8Array.of(1),
    modalityOverride: Int8Array.of(gateDecides),
  };
}

export function selfTestConvolution(provider: LoadCommand["provider"]): Promise<Convolution> {
  return loadConvolution(fileURLToPath(new URL("convolution.onnx", folder)), provider);
}

/**
 * Compares a device's session with the CPU's.
 *
 * @throws Error with the reason why the device must not serve.
 */
export async function proveDevice(
  modelFile: string,
  device: Session,
  { provider, threads }: Pick<LoadCommand, "provider" | "threads">,
): Promise<void> {
  await proveFullPrecision(await selfTestConvolution(provider), await selfTestConvolution("cpu"));
  await proveParity(device, await loadSession(modelFile, "cpu", { threads }), await selfTestTile());
}
