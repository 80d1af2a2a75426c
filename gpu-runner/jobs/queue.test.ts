import { expect, it } from "vitest";
import { JobQueue, type Queued } from "./queue.ts";

const limits = { jobs: 3, pixels: 100 };

interface Named extends Queued {
  readonly name: string;
}

function job(name: string, changes: Partial<Queued> = {}): Named {
  return { name, account: "one", pixels: 10, priority: "interactive", queuedAt: 0, alone: false, ...changes };
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
  const found = (changes: Partial<Queued>) => queue.pixelsBefore(job("new", { queuedAt: 1, ...changes }));
  expect([found({}), found({ priority: "batch" }), queue.pixels]).toEqual([10, 80, 80]);
  // Of another account's it waits for as many pixels as it brings, and those are a tile's at least.
  expect(queueOf(job("a"), job("b"), job("c")).pixelsBefore(job("new", { account: "other" }))).toBe(10);
});

it("accounts take turns by pixels, whoever came first and however many jobs they have", () => {
  const burst = Array.from({ length: 4 }, (_, n) => job(`burst ${n}`, { account: "burst", queuedAt: n }));
  const steady = Array.from({ length: 2 }, (_, n) => job(`steady ${n}`, { account: "steady", queuedAt: 100 + n }));
  const queue = queueOf(...burst);
  // What is in hand stays; the next turn is the newcomer's.
  expect(queue.next([], 50)?.name).toBe("burst 0");
  for (const one of steady) queue.add(one);
  expect(order(queue, 200)).toEqual(["steady 0", "burst 1", "steady 1", "burst 2", "burst 3"]);
});

it("a large image counts as many small ones", () => {
  const megapixel = 1e6;
  const large = ["l0", "l1", "l2"].map((name) => job(name, { account: "large", pixels: 4 * megapixel }));
  const small = ["s0", "s1", "s2", "s3", "s4"].map((name, n) =>
    job(name, { account: "small", pixels: megapixel, queuedAt: n }),
  );
  expect(order(queueOf(...large, ...small), 10)).toEqual(["l0", "s0", "s1", "s2", "s3", "l1", "s4", "l2"]);
});

it("who sent nothing for a while has saved up no turns", () => {
  const queue = queueOf(...Array.from({ length: 5 }, (_, n) => job(`a${n}`, { account: "a", queuedAt: n })));
  for (let n = 0; n < 3; n++) queue.next([], 10);
  for (let n = 0; n < 3; n++) queue.add(job(`b${n}`, { account: "b", queuedAt: 20 + n }));
  expect(order(queue, 30)).toEqual(["b0", "a3", "b1", "a4", "b2"]);
});

it("batches of different accounts take turns as well", () => {
  const batch = (name: string, account: string, queuedAt: number) =>
    job(name, { account, queuedAt, priority: "batch" });
  const queue = queueOf(batch("a0", "a", 0), batch("a1", "a", 1), batch("b0", "b", 2));
  expect(order(queue, 60_000)).toEqual(["a0", "b0", "a1"]);
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
