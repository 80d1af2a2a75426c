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

export interface SessionResources {
  /** Threads of the CPU provider. */
  readonly threads: number;
  /** Bytes that the CUDA provider's arena may take; null for no limit. */
  readonly deviceMemory?: number | null;
  /** Sides of the tiles that large images are cut into; the CUDA provider keeps its memory for those. */
  readonly usualSides?: readonly number[];
}

/**
 * Options of the provider beyond its name.
 *
 * The binding hands the CUDA provider a device and nothing else; from the session's entries under this prefix a provider
 * takes the rest where it reads them. That TF32 is off is proved by a convolution and not by the option, and what holds
 * the memory in any case are few warmed shapes and the arena that gives back after others (see `run`).
 */
function providerEntries(provider: Provider, deviceMemory: number | null) {
  if (provider === "cpu") return {};
  return {
    ep: {
      cudaexecutionprovider: {
        use_tf32: "0",
        arena_extend_strategy: "kSameAsRequested",
        // The exhaustive search would hold up the first image of every size.
        cudnn_conv_algo_search: "HEURISTIC",
        ...(deviceMemory === null ? {} : { gpu_mem_limit: String(deviceMemory) }),
      },
    },
  };
}

async function open(file: string, provider: Provider, { threads, deviceMemory = null }: SessionResources) {
  return InferenceSession.create(file, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    graphOptimizationLevel: "all",
    // Idle threads that spin take the cores from decoding, the edge and whatever else runs on the machine: with two busy
    // cores a tile took 1.3 s with spinning and 0.7 s without.
    extra: { session: { intra_op: { allow_spinning: "0" } }, ...providerEntries(provider, deviceMemory) },
  });
}

/**
 * Loads a model.
 *
 * @throws where the model breaks the contract or the provider is not there: there is no silent fallback to the CPU.
 */
export async function loadSession(
  modelFile: string,
  provider: Provider,
  resources: SessionResources,
): Promise<Session> {
  const session = await open(modelFile, provider, resources);
  const usual = (side: number) => resources.usualSides?.includes(side) ?? false;
  for (const [found, wanted] of [
    [session.inputNames, inputNames],
    [session.outputNames, outputNames],
  ] as const) {
    const missing = wanted.filter((name) => !found.includes(name));
    if (missing.length > 0) throw new Error(`the model lacks ${missing.join(", ")}`);
  }
  return {
    async run({ count, height, width, pixels, qtable, jpeg, modalityOverride }) {
      const feeds = {
        pixels: new Tensor("uint8", pixels, [count, height, width, 3]),
        qtable: new Tensor("int32", qtable, [count, 64]),
        jpeg: new Tensor("uint8", jpeg, [count]),
        modality_override: new Tensor("int8", modalityOverride, [count]),
      };
      // The arena keeps what a shape once took, and many shapes fragment it. The tiles of large images have few shapes,
      // which the warm-up runs, and none takes more than the largest: they keep their memory; after others the rest is
      // given back.
      const shrinks = provider === "cuda" && !(usual(height) && usual(width));
      const outputs = await session.run(
        feeds,
        shrinks ? { extra: { memory: { enable_memory_arena_shrinkage: "gpu:0" } } } : {},
      );
      return {
        probability: bytesOf(outputs, "probability"),
        score: floatsOf(outputs, "score"),
        gate: floatsOf(outputs, "gate"),
        domain: floatsOf(outputs, "domain"),
      };
    },
  };
}

/** One 3×3 convolution in fp32: x [1,64,32,32] and w [64,64,3,3] to y [1,64,32,32]. */
export type Convolution = (x: Float32Array, w: Float32Array) => Promise<Float32Array>;

export async function loadConvolution(file: string, provider: Provider): Promise<Convolution> {
  const session = await open(file, provider, { threads: 1 });
  return async (x, w) => {
    const outputs = await session.run({
      x: new Tensor("float32", x, [1, 64, 32, 32]),
      w: new Tensor("float32", w, [64, 64, 3, 3]),
    });
    return floatsOf(outputs, "y");
  };
}
