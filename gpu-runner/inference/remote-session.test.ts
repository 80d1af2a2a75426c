/** The real model on threads of its own. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { RemoteSession } from "./remote-session.ts";
import { gateDecides, loadSession, type ModelInput } from "./session.ts";

const { modelFile } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const data = { modelFile, provider: "cpu" as const, resources: { threads: 1 } };
const everything = () => true;
const unbroken = (reason: Error) => expect.fail(reason.message);

/** One tile of noise, in shared memory as they come. */
function tile(seed: number, height = 64, width = 96): ModelInput {
  const pixels = new Uint8Array(new SharedArrayBuffer(height * width * 3));
  for (let i = 0, state = seed; i < pixels.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    pixels[i] = state >>> 24;
  }
  return {
    count: 1,
    height,
    width,
    pixels,
    qtable: new Int32Array(64).fill(8),
    jpeg: Uint8Array.of(1),
    modalityOverride: Int8Array.of(gateDecides),
  };
}

it("two of them side by side answer as one in this thread does, bit by bit", async () => {
  const here = await loadSession(modelFile, "cpu", data.resources);
  const there = await Promise.all([1, 2].map(() => RemoteSession.start(data, everything, unbroken)));
  const found = await Promise.all(there.map((session, i) => session.run(tile(i))));
  for (const [i, answer] of found.entries()) expect(answer).toEqual(await here.run(tile(i)));
});

it("refuses a second tile while one runs, says what a failed one failed of, and takes the next", async () => {
  const session = await RemoteSession.start(data, everything, unbroken);
  const first = session.run(tile(1));
  expect(() => session.run(tile(2))).toThrow("the session is running");
  await first;
  // Sides that are no multiples of 32 are against the contract.
  await expect(session.run(tile(3, 50, 50))).rejects.toThrow(/Non-zero status code|invalid|shape/i);
  expect((await session.run(tile(2))).probability).toHaveLength(64 * 96);
});

it("says why it cannot be loaded", async () => {
  const missing = { ...data, modelFile: `${modelFile}.missing` };
  await expect(RemoteSession.start(missing, everything, unbroken)).rejects.toThrow(/missing/);
});
