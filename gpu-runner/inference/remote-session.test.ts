/** The real model on threads of its own. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadRelease } from "../release.ts";
import { RemoteSession } from "./remote-session.ts";
import { gateDecides, loadSession, type ModelInput } from "./session.ts";

const { modelFile } = await loadRelease(fileURLToPath(new URL("../../model/release", import.meta.url)));
const data = { modelFile, provider: "cpu" as const, resources: { threads: 1 } };
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
  const there = await Promise.all([1, 2].map(() => RemoteSession.start(data, unbroken)));
  const found = await Promise.all(there.map((session, i) => session.run(tile(i))));
  for (const [i, answer] of found.entries()) expect(answer).toEqual(await here.run(tile(i)));
});

it("a tile on one of them holds up none on another: what was begun later is answered first", async () => {
  const [one, other] = await Promise.all([RemoteSession.start(data, unbroken), RemoteSession.start(data, unbroken)]);
  const answered: string[] = [];
  const large = one.run(tile(1, 768, 768)).then(() => answered.push("large"));
  await other.run(tile(2)).then(() => answered.push("small"));
  await large;
  expect(answered).toEqual(["small", "large"]);
});

it("tells whoever started it when its thread ends", async () => {
  const ended = Promise.withResolvers<Error>();
  const program = new URL("../testing/session-thread.ts", import.meta.url);
  const session = await RemoteSession.start(data, ended.resolve, program);
  void session.run(tile(1));
  expect((await ended.promise).message).toBe("a session's thread ended with exit code 7");
});

it("refuses a second tile while one runs, says what a failed one failed of, and takes the next", async () => {
  const session = await RemoteSession.start(data, unbroken);
  const first = session.run(tile(1));
  expect(() => session.run(tile(2))).toThrow("the session is running");
  await first;
  // Sides that are no multiples of 32 are against the contract.
  await expect(session.run(tile(3, 50, 50))).rejects.toThrow(/Non-zero status code|invalid|shape/i);
  expect((await session.run(tile(2))).probability).toHaveLength(64 * 96);
});

it("says why it cannot be loaded", async () => {
  const missing = { ...data, modelFile: `${modelFile}.missing` };
  await expect(RemoteSession.start(missing, unbroken)).rejects.toThrow(/missing/);
});
