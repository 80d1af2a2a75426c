/** The ONNX session: typed tensors in, typed tensors out, and nothing else of onnxruntime beyond this file. */
import { InferenceSession, Tensor } from "onnxruntime-node";

export type Provider = "cpu" | "cuda";

/** What the graph is told about the modality. */
export type ModalityOverride = -1 | 0 | 1;
export const gateDecides: ModalityOverride = -1;
export const useRgb: ModalityOverride = 0;
export const useFused: ModalityOverride = 1;

/** Inputs of the model contract. `count` images of one size, which is a multiple of 32 both ways. */
export interface ModelInput {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** uint8 [count, height, width, 3] */
  readonly pixels: Uint8Array;
  /** int32 [count, 64], natural order. */
  readonly qtable: Int32Array;
  /** uint8 [count] */
  readonly jpeg: Uint8Array;
  /** int8 [count] */
  readonly modalityOverride: Int8Array;
}

export interface ModelOutput {
  /** uint8 [count, height, width] */
  readonly probability: Uint8Array;
  readonly score: Float32Array;
  /** Probability that the fused modality is the right one. */
  readonly gate: Float32Array;
  /** float [count, 4], in the order of `domains`. */
  readonly domain: Float32Array;
}

export interface Session {
  run(input: ModelInput): Promise<ModelOutput>;
}

const inputNames = ["pixels", "qtable", "jpeg", "modality_override"];
const outputNames = ["probability", "score", "gate", "domain"];

function bytesOf(outputs: InferenceSession.OnnxValueMapType, name: string): Uint8Array {
  const data = outputs[name]?.data;
  if (data instanceof Uint8Array) return data;
  throw new Error(`the model's output "${name}" is not a uint8 tensor`);
}

function floatsOf(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new Error(`the model's output "${name}" is not a float tensor`);
}

/**
 * Loads a model.
 *
 * @param threads of the CPU provider.
 * @throws where the model breaks the contract or the provider is not there: there is no silent fallback to the CPU.
 */
export async function loadSession(modelFile: string, provider: Provider, threads: number): Promise<Session> {
  const session = await InferenceSession.create(modelFile, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    graphOptimizationLevel: "all",
    // Idle threads that spin take the cores from decoding, the edge and whatever else runs on the machine: with two busy
    // cores a tile took 1.3 s with spinning and 0.7 s without.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  for (const [found, wanted] of [
    [session.inputNames, inputNames],
    [session.outputNames, outputNames],
  ] as const) {
    const missing = wanted.filter((name) => !found.includes(name));
    if (missing.length > 0) throw new Error(`the model lacks ${missing.join(", ")}`);
  }
  return {
    async run({ count, height, width, pixels, qtable, jpeg, modalityOverride }) {
      const outputs = await session.run({
        pixels: new Tensor("uint8", pixels, [count, height, width, 3]),
        qtable: new Tensor("int32", qtable, [count, 64]),
        jpeg: new Tensor("uint8", jpeg, [count]),
        modality_override: new Tensor("int8", modalityOverride, [count]),
      });
      return {
        probability: bytesOf(outputs, "probability"),
        score: floatsOf(outputs, "score"),
        gate: floatsOf(outputs, "gate"),
        domain: floatsOf(outputs, "domain"),
      };
    },
  };
}
