import { describe, expect, it } from "vitest";
import { Batcher, type BatchFacts, byCompany, DeviceExhausted, Lane, type Tile } from "./batcher.ts";
import type { ModelInput, ModelOutput, Session } from "./session.ts";

const side = 32;

/** A tile whose pixels all say which one it is. */
function tile(name: number, width = side): Tile {
  const pixels = new Uint8Array(side * width * 3).fill(name);
  const qtable = new Int32Array(64).fill(name);
  return { pixels, height: side, width, qtable, jpeg: name % 2 === 1, modalityOverride: -1 };
}

/** Answers a tile with its own name, and keeps what it was asked. */
class Echo implements Session {
  /** Names of the tiles of each run. */
  readonly runs: number[][] = [];
  /** Tiles that the device has memory for. */
  room = Number.POSITIVE_INFINITY;
  message = "Failed to allocate memory for requested buffer of size 301989888";

  async run({ count, height, width, pixels, qtable, jpeg }: ModelInput): Promise<ModelOutput> {
    const area = height * width;
    if (count > this.room) throw new Error(this.message);
    const names = Array.from({ length: count }, (_, i) => pixels[i * area * 3] ?? 0);
    expect(names).toEqual(Array.from({ length: count }, (_, i) => qtable[i * 64]));
    expect(Array.from(jpeg)).toEqual(names.map((name) => name % 2));
    this.runs.push(names);
    return {
      probability: Uint8Array.from({ length: count * area }, (_, i) => names[Math.floor(i / area)] ?? 0),
      score: Float32Array.from(names),
      gate: new Float32Array(count),
      domain: new Float32Array(4 * count).fill(0.25),
    };
  }
}

const never = new AbortController().signal;

it("runs tiles of one shape together, those of another apart, and gives each its own answer", async () => {
  const session = new Echo();
  const facts: BatchFacts[] = [];
  const batcher = new Batcher([session], 3, { ran: (batch) => facts.push(batch), shrunk: () => undefined });
  const tiles = [tile(1), tile(2, 64), tile(3), tile(4), tile(5), tile(6, 64)];
  const results = await Promise.all(tiles.map((each) => batcher.run(each, never)));
  expect(session.runs).toEqual([[1, 3, 4], [2, 6], [5]]);
  results.forEach(({ probability, score }, i) => {
    expect(score).toBe(i + 1);
    expect(probability.length).toBe(side * (tiles[i]?.width ?? 0));
    expect(probability.every((value) => value === i + 1)).toBe(true);
  });
  expect(facts.map(({ tiles: count, pixels }) => [count, pixels])).toEqual([
    [3, 3 * side * side],
    [2, 2 * side * 64],
    [1, side * side],
  ]);
});

/** A session that answers when it is told to. */
class Patient extends Echo {
  readonly #answers: (() => void)[] = [];

  override async run(input: ModelInput): Promise<ModelOutput> {
    const output = super.run(input);
    await new Promise<void>((resolve) => this.#answers.push(resolve));
    return output;
  }

  answer(): void {
    this.#answers.shift()?.();
  }
}

describe("several sessions", () => {
  it("run side by side, each one batch at a time, and whichever is free takes the next", async () => {
    const sessions = [new Patient(), new Patient()] as const;
    const batcher = new Batcher(sessions, 1);
    const results = Promise.all([1, 2, 3, 4].map((name) => batcher.run(tile(name), never)));
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[1]], [[2]]]);
    sessions[1].answer();
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[1]], [[2], [3]]]);
    sessions[0].answer();
    await expect.poll(() => sessions[0].runs).toEqual([[1], [4]]);
    for (const session of sessions) session.answer();
    expect((await results).map(({ score }) => score)).toEqual([1, 2, 3, 4]);
  });

  it("of two batchers are given an image's tiles by their size where it is alone", async () => {
    const sessions = [new Patient(), new Patient()] as const;
    const [whole, shared] = sessions.map((session) => new Batcher([session], 1)) as [Batcher, Batcher];
    const batcher = byCompany(side * side, shared, whole);
    const lane = new Lane(1);
    const results = Promise.all(
      [tile(1), tile(2, 64), tile(3, 64), tile(4)].map((each) => batcher.run(each, never, lane)),
    );
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[2]], [[1]]]);
    sessions[0].answer();
    await expect.poll(() => sessions[0].runs.at(-1)).toEqual([3]);
    sessions[1].answer();
    await expect.poll(() => sessions[1].runs.at(-1)).toEqual([4]);
    for (const session of sessions) session.answer();
    expect((await results).map(({ score }) => score)).toEqual([1, 2, 3, 4]);
  });

  it("share their threads among several images, however large the tiles", async () => {
    const sessions = [new Patient(), new Patient()] as const;
    const [whole, shared] = sessions.map((session) => new Batcher([session], 1)) as [Batcher, Batcher];
    const batcher = byCompany(side * side, shared, whole);
    const results = Promise.all([1, 2, 3].map((name) => batcher.run(tile(name, 64), never, new Lane(1))));
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[1]], [[2]]]);
    sessions[0].answer();
    // It came when there were others, and stays where it was sent.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sessions[0].runs).toEqual([[1]]);
    sessions[1].answer();
    await expect.poll(() => sessions[1].runs.at(-1)).toEqual([3]);
    sessions[1].answer();
    expect((await results).map(({ score }) => score)).toEqual([1, 2, 3]);
  });

  it("share out the two small tiles of an image alone, and no longer where there is another", async () => {
    const sessions = [new Patient(), new Patient()] as const;
    const [whole, shared] = sessions.map((session) => new Batcher([session], 1)) as [Batcher, Batcher];
    const batcher = byCompany(side * side, shared, whole);
    const [one, other] = [new Lane(1), new Lane(1)];
    const results = [1, 2, 3].map((name) => batcher.run(tile(name), never, one));
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[2]], [[1]]]);
    for (const session of sessions) session.answer();
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[2]], [[1], [3]]]);
    results.push(...[4, 5].map((name) => batcher.run(tile(name), never, other)));
    for (const name of [4, 5]) {
      sessions[1].answer();
      await expect.poll(() => sessions[1].runs.at(-1)).toEqual([name]);
    }
    sessions[1].answer();
    expect((await Promise.all(results)).map(({ score }) => score)).toEqual([1, 2, 3, 4, 5]);
    expect(sessions[0].runs).toEqual([[2]]);
  });

  it("that are all busy do not run what was withdrawn meanwhile", async () => {
    const sessions = [new Patient(), new Patient()] as const;
    const batcher = new Batcher(sessions, 1);
    const withdrawal = new AbortController();
    const kept = [1, 2].map((name) => batcher.run(tile(name), never));
    await expect.poll(() => sessions.map(({ runs }) => runs)).toEqual([[[1]], [[2]]]);
    const withdrawn = batcher.run(tile(3), withdrawal.signal);
    withdrawal.abort(new Error("gone"));
    for (const session of sessions) session.answer();
    await expect(withdrawn).rejects.toThrow("gone");
    await Promise.all(kept);
    expect(sessions.map(({ runs }) => runs)).toEqual([[[1]], [[2]]]);
  });
});

describe("turns", () => {
  it("an image of many tiles lets one of a single tile through", async () => {
    const session = new Echo();
    const batcher = new Batcher([session], 1);
    const large = new Lane(1);
    const many = Array.from({ length: 20 }, (_, i) => batcher.run(tile(i), never, large));
    await many[1];
    await batcher.run(tile(99), never, new Lane(1));
    expect(session.runs.flat().indexOf(99)).toBeLessThanOrEqual(4);
    await Promise.all(many);
  });

  it("who is waited for gets four tiles for each of a batch's, and the batch is never left out", async () => {
    const session = new Echo();
    const batcher = new Batcher([session], 1);
    const [interactive, batch] = [new Lane(4), new Lane(1)];
    const all = Array.from({ length: 40 }, (_, i) =>
      i % 2 === 0 ? batcher.run(tile(100 + i), never, interactive) : batcher.run(tile(i), never, batch),
    );
    await Promise.all(all);
    const ofBatch = session.runs.flat().map((name) => name < 100);
    expect(ofBatch.slice(0, 20).filter(Boolean)).toHaveLength(4);
    expect(ofBatch.slice(0, 6)).toContain(true);
  });

  it("a large image does not wait for one of many large tiles that came when it was alone", async () => {
    const whole = new Patient();
    const batcher = byCompany(side * side, new Batcher([new Echo()], 1), new Batcher([whole], 1));
    const many = new Lane(1);
    const old = Array.from({ length: 20 }, (_, i) => batcher.run(tile(i, 64), never, many));
    expect((await batcher.run(tile(99, 64), never, new Lane(1))).score).toBe(99);
    for (let ran = 0; ran < 20; ran++) {
      await expect.poll(() => whole.runs.length).toBe(ran + 1);
      whole.answer();
    }
    await Promise.all(old);
  });

  it("withdrawn tiles never run", async () => {
    const session = new Echo();
    const batcher = new Batcher([session], 1);
    const withdrawal = new AbortController();
    const kept = batcher.run(tile(1), never);
    const withdrawn = batcher.run(tile(2), withdrawal.signal);
    withdrawal.abort(new Error("gone"));
    await expect(withdrawn).rejects.toThrow("gone");
    await kept;
    expect(session.runs).toEqual([[1]]);
  });
});

describe("a device without memory", () => {
  it.each([
    "Failed to allocate memory for requested buffer of size 301989888",
    "CUDA failure 2: out of memory ; GPU=0",
    "CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
  ])("halves the batch and goes on: %s", async (message) => {
    const session = new Echo();
    session.room = 3;
    session.message = message;
    const sizes: number[] = [];
    const batcher = new Batcher([session], 8, { ran: () => undefined, shrunk: (largest) => sizes.push(largest) });
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => batcher.run(tile(i), never)));
    expect(results.map(({ score }) => score)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(sizes).toEqual([4, 2]);
    expect(session.runs).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ]);
  });

  it("keeps the smaller of two batches when both had failed, whichever is heard of last", async () => {
    const failures: ((reason: Error) => void)[] = [];
    const sizes: number[] = [];
    const later: number[] = [];
    const session: Session = {
      run: ({ count, height, width }) => {
        if (failures.length < 2) return new Promise((_, reject) => failures.push(reject));
        later.push(count);
        return new Echo().run({
          count,
          height,
          width,
          pixels: new Uint8Array(count * height * width * 3),
          qtable: new Int32Array(count * 64),
          jpeg: new Uint8Array(count),
          modalityOverride: new Int8Array(count),
        });
      },
    };
    const batcher = new Batcher([session, session], 8, { ran: () => undefined, shrunk: (size) => sizes.push(size) });
    const tiles = [...Array(8).fill(tile(1)), ...Array(2).fill(tile(1, 64))];
    const results = tiles.map((each) => batcher.run(each, never));
    await expect.poll(() => failures.length).toBe(2);
    for (const fail of failures.toReversed()) fail(new Error("std::bad_alloc"));
    await Promise.all(results);
    expect(sizes).toEqual([1, 1]);
    expect(Math.max(...later)).toBe(1);
  });

  it("for even one tile says so", async () => {
    const session = new Echo();
    session.room = 0;
    const batcher = new Batcher([session], 2);
    await expect(batcher.run(tile(1), never)).rejects.toBeInstanceOf(DeviceExhausted);
    session.room = 1;
    expect((await batcher.run(tile(2), never)).score).toBe(2);
  });

  it("is no other failure: that is the batch's own, and the next one runs", async () => {
    const session = new Echo();
    session.room = 1;
    session.message = "Non-zero status code returned while running Conv node";
    const batcher = new Batcher([session], 2);
    const both = Promise.allSettled([batcher.run(tile(1), never), batcher.run(tile(2), never)]);
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect((await batcher.run(tile(3), never)).score).toBe(3);
  });
});
