/**
 * The released file in onnxruntime-node against PyTorch, from the image file on: model/parity.py recorded what PyTorch
 * says of the bundled samples, decoded by Pillow. Bounds are those of the model contract.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { decodeImage } from "../image/decode.ts";
import { gateDecides, loadSession, type Session } from "./session.ts";

const repository = join(import.meta.dirname, "../..");
const recordings = join(repository, "model/release/parity");
const recording = z.object({
  left: z.int(),
  top: z.int(),
  width: z.int(),
  height: z.int(),
  score: z.number(),
  gate: z.number(),
  domain: z.array(z.number()).length(4),
});
const recorded = z
  .record(z.string(), recording)
  .parse(JSON.parse(await readFile(join(recordings, "parity.json"), "utf8")));

let session: Session;
beforeAll(async () => {
  session = await loadSession(join(repository, "model/release/omni-iml.onnx"), "cpu", {
    threads: availableParallelism(),
  });
});

it("there is something to compare", () => {
  expect(Object.keys(recorded).length).toBeGreaterThanOrEqual(4);
});

describe.each(Object.entries(recorded))("%s", (name, expected) => {
  it("gives PyTorch's map, gate and scores", async () => {
    const { left, top, width, height } = expected;
    const image = await decodeImage(await readFile(join(repository, "test/samples", name)), 1e8);
    const pixels = await sharp(image.pixels, { raw: { width: image.width, height: image.height, channels: 3 } })
      .extract({ left, top, width, height })
      .raw()
      .toBuffer();
    const found = await session.run({
      count: 1,
      width,
      height,
      pixels,
      qtable: image.qtable,
      jpeg: Uint8Array.of(Number(image.jpeg)),
      modalityOverride: Int8Array.of(gateDecides),
    });
    const map = await sharp(join(recordings, name.replace(/\.jpg$/, ".png")))
      .extractChannel(0)
      .raw()
      .toBuffer();
    expect(map.length).toBe(width * height);
    const differences = found.probability.map((value, i) => Math.abs(value - (map[i] ?? 0)));
    expect(differences.every((difference) => difference <= 8)).toBe(true);
    expect(differences.filter((difference) => difference <= 1).length / differences.length).toBeGreaterThan(0.999);
    const gate = found.gate[0] ?? Number.NaN;
    if (Math.abs(expected.gate - 0.5) > 0.05) expect(gate > 0.5).toBe(expected.gate > 0.5);
    expect(gate).toBeCloseTo(expected.gate, 2);
    expect(Math.abs((found.score[0] ?? Number.NaN) - expected.score)).toBeLessThan(1e-3);
    expected.domain.forEach((probability, i) => {
      expect(found.domain[i]).toBeCloseTo(probability, 2);
    });
  });
});
