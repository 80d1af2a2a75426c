import { expect, it } from "vitest";
import { OutOfTime, runAlone, TaskThread } from "./threads.ts";

const { signal } = new AbortController();
const picture = { pixels: new Uint8Array(3 * 64 * 64).fill(120), width: 64, height: 64 };
const task = { kind: "copies", picture, printed: false } as const;

it("a task that takes too long is given up, and the next one has a thread of its own", async () => {
  const thread = new TaskThread();
  const large = { pixels: new Uint8Array(3 * 2000 * 2000).map((_, i) => (i * 7919) % 251), width: 2000, height: 2000 };
  const slow = thread.run({ ...task, picture: large }, { milliseconds: 1, signal });
  const next = thread.run(task, { milliseconds: 60_000, signal });
  await expect(slow).rejects.toBeInstanceOf(OutOfTime);
  await expect(next).resolves.toEqual({ copies: [], keypoints: 0 });
  await thread.end();
});

it("what a task throws is told", async () => {
  const bytes = Buffer.from("jumb c2pa\0 and nothing of it is true");
  const credentials = { kind: "credentials", bytes, mediaType: "image/jpeg", anchors: null } as const;
  await expect(runAlone(credentials, { milliseconds: 60_000, signal })).rejects.toThrow();
});
