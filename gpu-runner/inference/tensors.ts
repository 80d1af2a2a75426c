/**
 * Runs the model on raw tensors, for the parity test against PyTorch.
 *
 *   node gpu-runner/inference/tensors.ts --model FILE --shape N,H,W --pixels F --qtable F --jpeg F --override F --out DIR
 *
 * Files are little-endian and row-major: pixels uint8 [N,H,W,3], qtable int32 [N,64], jpeg uint8 [N], override int8 [N].
 * DIR gets probability.bin (uint8 [N,H,W]) and score.bin, gate.bin, domain.bin (float32 [N], [N], [N,4]).
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadSession } from "./session.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    shape: { type: "string" },
    pixels: { type: "string" },
    qtable: { type: "string" },
    jpeg: { type: "string" },
    override: { type: "string" },
    out: { type: "string" },
  },
});

function given(name: keyof typeof values): string {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return value;
}

/** A file's bytes in a buffer of their own, so that wider numbers are aligned. */
function bytesOf(name: keyof typeof values): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(given(name)));
}

const [count = 0, height = 0, width = 0] = given("shape").split(",").map(Number);
const session = await loadSession(given("model"), "cpu", { threads: availableParallelism() });
const output = await session.run({
  count,
  height,
  width,
  pixels: bytesOf("pixels"),
  qtable: new Int32Array(bytesOf("qtable").buffer),
  jpeg: bytesOf("jpeg"),
  modalityOverride: new Int8Array(bytesOf("override").buffer),
});
mkdirSync(given("out"), { recursive: true });
for (const [name, data] of Object.entries(output)) writeFileSync(join(given("out"), `${name}.bin`), data);
