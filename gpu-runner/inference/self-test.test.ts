import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { proveDevice, proveFullPrecision, proveParity, selfTestConvolution, selfTestTile } from "./self-test.ts";
import { type Convolution, loadSession, type ModelInput, type ModelOutput, type Session } from "./session.ts";

const modelFile = join(import.meta.dirname, "../../model/release/omni-iml.onnx");

/** A factor as the tensor cores of an Ampere GPU take it in TF32: 10 bits of mantissa. */
function inTf32(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer);
  return new Float32Array(bits.map((word) => (word + 0x1000) & 0xff_ff_e0_00).buffer);
}

describe("a convolution", () => {
  let cpu: Convolution;
  beforeAll(async () => {
    cpu = await selfTestConvolution("cpu");
  });

  it("of full precision passes, also summed in another order", async () => {
    await proveFullPrecision(cpu, cpu);
    const backwards: Convolution = async (x, w) => {
      // Kernels are sums over channels: halves of the channels, added afterwards.
      const half = (from: number) => w.map((value, i) => (Math.floor(i / 9) % 2 === from ? value : 0));
      const [even, odd] = [await cpu(x, half(0)), await cpu(x, half(1))];
      return even.map((value, i) => value + (odd[i] ?? 0));
    };
    await proveFullPrecision(backwards, cpu);
  });

  it("with factors rounded to TF32 is found out", async () => {
    const tf32: Convolution = (x, w) => cpu(inTf32(x), inTf32(w));
    await expect(proveFullPrecision(tf32, cpu)).rejects.toThrow(/off by .*e-[34].*TF32/);
  });

  it("that gives nothing is found out", async () => {
    await expect(proveFullPrecision(async () => new Float32Array(0), cpu)).rejects.toThrow("off by");
  });
});

describe("a real tile", () => {
  let tile: ModelInput;
  let output: ModelOutput;
  let session: Session;
  /** What the CPU said of the tile, once. */
  const cpu: Session = { run: async () => output };
  beforeAll(async () => {
    session = await loadSession(modelFile, "cpu", { threads: 1 });
    tile = await selfTestTile();
    output = await session.run(tile);
  });

  /** The CPU's answer, with something changed. */
  function changed(change: (output: ModelOutput) => Partial<ModelOutput>): Session {
    return { run: async () => ({ ...output, ...change(output) }) };
  }

  it("passes within the bounds: one step everywhere, eight in a few places", async () => {
    await proveDevice(modelFile, session, { provider: "cpu", threads: 1 });
    const near = changed(({ probability }) => ({
      probability: probability.map((value, i) => (i < 20 ? value ^ 4 : value ^ 1)),
    }));
    await proveParity(near, cpu, tile);
  });

  it.each<[string, (output: ModelOutput) => Partial<ModelOutput>, RegExp]>([
    [
      "one pixel far off",
      ({ probability }) => ({ probability: probability.with(7, 255 - (probability[7] ?? 0)) }),
      /map/,
    ],
    ["many pixels by two steps", ({ probability }) => ({ probability: probability.map((v) => (v + 2) % 256) }), /map/],
    ["no map", () => ({ probability: new Uint8Array(0) }), /map/],
    ["another modality", ({ gate }) => ({ gate: gate.map((value) => 1 - value) }), /modality/],
    ["another score", ({ score }) => ({ score: score.map((value) => value + 0.002) }), /score/],
  ])("%s is refused", async (_, change, reason) => {
    await expect(proveParity(changed(change), cpu, tile)).rejects.toThrow(reason);
  });
});
