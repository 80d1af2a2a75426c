import { expect, it } from "vitest";
import { JobQueue, type Queued } from "./queue.ts";

const limits = { jobs: 3, pixels: 100 };

interface Named extends Queued {
  readonly name: string;
}

function job(name: string, changes: Partial<Queued> = {}): Named {
  return { name, pixels: 10, priority: "interactive", queuedAt: 0, alone: false, ...changes };
}

/** Names in the order in which they are started when each ends before the next. */
function order(queue: JobQueue<Named>, now: number): string[] {
  const names: string[] = [];
  for (let next = queue.next([], now); next !== null; next = queue.next([], now)) names.push(next.name);
  return names;
}

function queueOf(...jobs: Named[]): JobQueue<Named> {
  const queue = new JobQueue<Named>(limits);
  for (const each of jobs) queue.add(each);
  return queue;
}

it("first come, first served", () => {
  expect(order(queueOf(job("a"), job("b", { queuedAt: 1 }), job("c", { queuedAt: 2 })), 3)).toEqual(["a", "b", "c"]);
});

it("who is waited for goes before batches, but a batch waits for nobody who comes 15 seconds after it", () => {
  const batch = job("batch", { priority: "batch" });
  const queue = queueOf(batch, job("soon", { queuedAt: 14_000 }), job("late", { queuedAt: 16_000 }));
  expect(order(queue, 20_000)).toEqual(["soon", "batch", "late"]);
});

it("a job finds before it what goes before it", () => {
  const queue = queueOf(job("a"), job("b", { priority: "batch", pixels: 70 }));
  expect([queue.pixelsBefore("interactive"), queue.pixelsBefore("batch"), queue.pixels]).toEqual([10, 80, 80]);
});

it("batches leave a place free", () => {
  const queue = queueOf(job("b1", { priority: "batch" }), job("b2", { priority: "batch", queuedAt: 1 }));
  const hand = [job("b3", { priority: "batch" }), job("b4", { priority: "batch" })];
  expect(queue.next(hand, 60_000)).toBeNull();
  queue.add(job("urgent", { queuedAt: 60_000 }));
  expect(queue.next(hand, 60_000)?.name).toBe("urgent");
});

it("what does not fit into memory is overtaken, for ten seconds", () => {
  const hand = [job("running", { pixels: 60 })];
  const queue = queueOf(job("large", { pixels: 90 }), job("s1", { queuedAt: 1 }), job("s2", { queuedAt: 2 }));
  expect(queue.next(hand, 9000)?.name).toBe("s1");
  expect(queue.next(hand, 10_001)).toBeNull();
  expect(queue.next([], 10_001)?.name).toBe("large");
  expect(queue.next([job("large", { pixels: 90 })], 10_001)?.name).toBe("s2");
});

it("what is larger than all memory is taken alone", () => {
  const queue = queueOf(job("huge", { pixels: 500 }));
  expect(queue.next([job("small")], 0)).toBeNull();
  expect(queue.next([], 0)?.name).toBe("huge");
});

it("a suspect runs alone", () => {
  const queue = queueOf(job("suspect", { alone: true }), job("other", { queuedAt: 1 }));
  expect(queue.next([job("running")], 10_001)).toBeNull();
  expect(queue.next([], 10_001)?.name).toBe("suspect");
  expect(queue.next([job("suspect", { alone: true })], 10_001)).toBeNull();
  expect(order(queue, 10_002)).toEqual(["other"]);
});
