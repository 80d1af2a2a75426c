/** The interpretation network's session: regions in, readings out. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Provider } from "../inference/session.ts";
import { factCount, type Interpreter, type Reading, type Shown } from "./contract.ts";
import { side, viewCount } from "./views.ts";

const kindCount = 11;
const artifactCount = 12;
const inputNames = ["views", "masks", "facts"];
const outputNames = ["kind", "artifacts", "confirmed"];

function rowsOf(outputs: InferenceSession.OnnxValueMapType, name: string, width: number): number[][] {
  const data = outputs[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the interpretation's output "${name}" is not a float tensor`);
  return Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
}

/** So many regions run together: powers of two, so that a device meets few shapes and has met each at the start. */
function padded(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

/**
 * @param mostTogether regions of one image; every batch up to it runs once before anybody waits for it.
 * @throws where the file breaks the contract or the provider is not there.
 */
export async function loadInterpreter(
  modelFile: string,
  provider: Provider,
  { threads, mostTogether }: { readonly threads: number; readonly mostTogether: number },
): Promise<Interpreter> {
  const session = await InferenceSession.create(modelFile, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    graphOptimizationLevel: "all",
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  for (const [found, wanted] of [
    [session.inputNames, inputNames],
    [session.outputNames, outputNames],
  ] as const) {
    const missing = wanted.filter((name) => !found.includes(name));
    if (missing.length > 0) throw new Error(`the interpretation model lacks ${missing.join(", ")}`);
  }
  const read = async ({ count, views, masks, facts }: Shown): Promise<Reading[]> => {
    const rows = provider === "cpu" ? count : padded(count);
    const filled = <Data extends Uint8Array | Float32Array>(data: Data, whole: Data): Data => {
      whole.set(data);
      return whole;
    };
    const outputs = await session.run({
      views: new Tensor("uint8", filled(views, new Uint8Array(rows * viewCount * side * side * 3)), [
        rows,
        viewCount,
        side,
        side,
        3,
      ]),
      masks: new Tensor("uint8", filled(masks, new Uint8Array(rows * viewCount * side * side)), [
        rows,
        viewCount,
        side,
        side,
      ]),
      facts: new Tensor("float32", filled(facts, new Float32Array(rows * factCount)), [rows, factCount]),
    });
    const kinds = rowsOf(outputs, "kind", kindCount);
    const artifacts = rowsOf(outputs, "artifacts", artifactCount);
    const confirmed = rowsOf(outputs, "confirmed", 1);
    return Array.from({ length: count }, (_, i) => ({
      kinds: kinds[i] ?? [],
      artifacts: artifacts[i] ?? [],
      confirmed: confirmed[i]?.[0] ?? 0,
    }));
  };
  for (let count = 1; count <= (provider === "cpu" ? 1 : mostTogether); count *= 2) {
    await read({ count, views: new Uint8Array(0), masks: new Uint8Array(0), facts: new Float32Array(0) });
  }
  return { read };
}
