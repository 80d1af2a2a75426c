/**
 * A few sessions that take the same tiles, many images: tiles of the same shape from any of them run as one batch, on the
 * next session that is free.
 *
 * Between two batches of a session the event loop turns, so that a withdrawn lease is seen before its tiles cost anything,
 * and tiles that came meanwhile take part in the next batch.
 *
 * Whose turn it is follows start-time fair queueing (Goyal, Vin, Cheng 1996): every image has a lane, a tile's start is
 * where its lane's last one ended, and a lane's tiles are the shorter the more the lane weighs. So an image of two
 * hundred tiles does not make one of a single tile wait for all of them, and no lane waits for ever.
 */
import type { ModalityOverride, ModelInput, ModelOutput, Session } from "./session.ts";

export interface Tile {
  /** RGB, row by row; both sides multiples of 32. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly qtable: Int32Array;
  readonly jpeg: boolean;
  readonly modalityOverride: ModalityOverride;
}

export interface TileResult {
  /** 0 to 255, row by row, of the tile's size. */
  readonly probability: Uint8Array;
  readonly score: number;
  readonly gate: number;
  readonly domain: readonly number[];
}

/** Whatever answers for a tile: the batcher itself, or the way to it from another thread. */
export interface TileRunner {
  /** The model's answer for one tile; rejects with the signal's reason when that is aborted before its turn. */
  run(tile: Tile, signal: AbortSignal): Promise<TileResult>;
}

/** The sessions as whoever hands them the tiles of many images sees them. */
export interface SharedSessions {
  /** As a `TileRunner` does, in the turn that the lane's weight gives it. */
  run(tile: Tile, signal: AbortSignal, lane?: Lane): Promise<TileResult>;
}

/** One image's share of the sessions. */
export class Lane {
  /** How far it has come in the virtual time of each batcher, in tiles by weight. */
  readonly ends = new WeakMap<Batcher, number>();
  readonly weight: number;

  /** @param weight how many tiles it gets for each one of a lane of weight 1. */
  constructor(weight: number) {
    this.weight = weight;
  }
}

export interface BatchFacts {
  readonly tiles: number;
  readonly pixels: number;
  /** Milliseconds that the session took. */
  readonly took: number;
  /** Milliseconds that the tiles had waited, summed. */
  readonly waited: number;
}

export interface BatchEvents {
  ran(facts: BatchFacts): void;
  /** The device had no memory for a batch; from now on at most `largest` tiles run together. */
  shrunk(largest: number): void;
}

/** The device has no memory for even one tile. */
export class DeviceExhausted extends Error {
  override readonly name = "DeviceExhausted";
}

interface Waiting {
  readonly tile: Tile;
  readonly signal: AbortSignal;
  /** Virtual time at which its turn comes. */
  readonly start: number;
  readonly since: number;
  readonly resolve: (result: TileResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** A session, and what it has in hand. */
interface Desk {
  readonly session: Session;
  busy: boolean;
  /** Pixels of several tiles side by side, as the session wants them; on whatever thread that runs. */
  together: Uint8Array;
}

const domainCount = 4;

/** What CUDA, cuDNN, cuBLAS and onnxruntime's own arena say when device memory is used up; none of them has a type. */
const outOfMemory =
  /out of memory|failed to allocate memory|bad allocation|bad_alloc|CUDA_?ERROR_OUT_OF_MEMORY|(CUDNN|CUBLAS)_STATUS_\w*ALLOC(ATION)?_FAILED/i;

export class Batcher implements TileRunner {
  readonly #desks: readonly Desk[];
  readonly #events: BatchEvents | null;
  #largest: number;
  #waiting: Waiting[] = [];
  #handingOut = false;
  /** Virtual time: the start of what ran last. */
  #now = 0;

  /** @param largest tiles in one batch: more than one gains nothing on a CPU, a GPU wants several. */
  constructor(sessions: readonly Session[], largest: number, events: BatchEvents | null = null) {
    this.#desks = sessions.map((session) => ({ session, busy: false, together: new Uint8Array(0) }));
    this.#largest = largest;
    this.#events = events;
  }

  run(tile: Tile, signal: AbortSignal, lane = new Lane(1)): Promise<TileResult> {
    return new Promise((resolve, reject) => {
      const start = Math.max(this.#now, lane.ends.get(this) ?? 0);
      lane.ends.set(this, start + 1 / lane.weight);
      this.#waiting.push({ tile, signal, start, since: performance.now(), resolve, reject });
      this.#handOutSoon();
    });
  }

  /** In the next turn of the event loop: what came in this one can be one batch. */
  #handOutSoon(): void {
    if (this.#handingOut) return;
    this.#handingOut = true;
    setImmediate(() => {
      this.#handingOut = false;
      for (const desk of this.#desks) {
        const batch = desk.busy ? [] : this.#next();
        if (batch.length > 0) void this.#work(desk, batch);
      }
    });
  }

  async #work(desk: Desk, batch: readonly Waiting[]): Promise<void> {
    desk.busy = true;
    await this.#runBatch(desk, batch);
    desk.busy = false;
    this.#handOutSoon();
  }

  async #runBatch(desk: Desk, batch: readonly Waiting[]): Promise<void> {
    const began = performance.now();
    try {
      const tiles = batch.map(({ tile }) => tile);
      const output = await desk.session.run(assemble(tiles, desk));
      const took = performance.now() - began;
      let pixels = 0;
      batch.forEach(({ tile, resolve }, i) => {
        const area = tile.height * tile.width;
        pixels += area;
        resolve(resultAt(output, i, area));
      });
      const waited = batch.reduce((sum, { since }) => sum + began - since, 0);
      this.#events?.ran({ tiles: batch.length, pixels, took, waited });
    } catch (error) {
      if (error instanceof Error && outOfMemory.test(error.message)) this.#withoutMemory(batch, error);
      else for (const { reject } of batch) reject(error);
    }
  }

  /** Half as many at a time, the same tiles first. */
  #withoutMemory(batch: readonly Waiting[], error: Error): void {
    if (batch.length === 1) {
      const exhausted = new DeviceExhausted(`There is no memory for a single tile: ${error.message}`, { cause: error });
      for (const { reject } of batch) reject(exhausted);
      return;
    }
    // A larger batch that began before may fail after a smaller one.
    this.#largest = Math.max(1, Math.min(this.#largest, Math.floor(batch.length / 2)));
    this.#waiting = [...batch, ...this.#waiting];
    this.#events?.shrunk(this.#largest);
  }

  /** The tile whose turn it is and the next ones of its shape; aborted ones are dropped. */
  #next(): Waiting[] {
    const alive: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.signal.aborted) waiting.reject(waiting.signal.reason);
      else alive.push(waiting);
    }
    // The sort is stable: of equal starts, the one that came first.
    alive.sort((a, b) => a.start - b.start);
    const [first] = alive;
    if (first !== undefined) this.#now = Math.max(this.#now, first.start);
    const batch: Waiting[] = [];
    this.#waiting = [];
    for (const waiting of alive) {
      const fits = waiting.tile.width === first?.tile.width && waiting.tile.height === first.tile.height;
      if (fits && batch.length < this.#largest) batch.push(waiting);
      else this.#waiting.push(waiting);
    }
    return batch;
  }
}

/**
 * Where one image alone is there, its tiles go by size: small ones to the batcher whose sessions share the threads, larger
 * ones to that with all of them, which nobody else wants. Where there are several images, all share: two tiles side by side,
 * each on its part of the threads, take less time than one after the other on all.
 *
 * Two batchers, because whoever comes starts at the virtual time of those that it waits with: on one clock the sessions that
 * are further would put a newcomer to the others behind everything that waits there already.
 *
 * @param mostPixels of a small tile
 */
export function byCompany(mostPixels: number, shared: Batcher, whole: Batcher): SharedSessions {
  /** Tiles of each lane that wait or run. */
  const underWay = new Map<Lane, number>();
  return {
    async run(tile, signal, lane = new Lane(1)) {
      const own = underWay.get(lane) ?? 0;
      const alone = underWay.size === (own === 0 ? 0 : 1);
      // The second of one image's works: a tile and its view.
      const second = own === 1;
      underWay.set(lane, own + 1);
      try {
        const batcher = alone && (second || tile.width * tile.height > mostPixels) ? whole : shared;
        return await batcher.run(tile, signal, lane);
      } finally {
        const left = (underWay.get(lane) ?? 1) - 1;
        if (left === 0) underWay.delete(lane);
        else underWay.set(lane, left);
      }
    },
  };
}

function assemble(tiles: readonly Tile[], desk: Desk): ModelInput {
  const [first] = tiles;
  if (first === undefined) throw new Error("a batch needs a tile");
  const qtable = new Int32Array(tiles.length * 64);
  tiles.forEach((tile, i) => {
    qtable.set(tile.qtable, i * 64);
  });
  return {
    count: tiles.length,
    height: first.height,
    width: first.width,
    pixels: tiles.length === 1 ? first.pixels : sideBySide(tiles, first.pixels.length, desk),
    qtable,
    jpeg: Uint8Array.from(tiles, (tile) => (tile.jpeg ? 1 : 0)),
    modalityOverride: Int8Array.from(tiles, (tile) => tile.modalityOverride),
  };
}

/** The only copy between decoder and session: the binding takes one block of memory, the tiles lie in several. */
function sideBySide(tiles: readonly Tile[], size: number, desk: Desk): Uint8Array {
  const length = tiles.length * size;
  if (desk.together.length < length) desk.together = new Uint8Array(new SharedArrayBuffer(length));
  tiles.forEach((tile, i) => {
    desk.together.set(tile.pixels, i * size);
  });
  return desk.together.subarray(0, length);
}

function resultAt(output: ModelOutput, i: number, area: number): TileResult {
  return {
    probability: output.probability.subarray(i * area, (i + 1) * area),
    score: output.score[i] ?? Number.NaN,
    gate: output.gate[i] ?? Number.NaN,
    domain: Array.from(output.domain.subarray(i * domainCount, (i + 1) * domainCount)),
  };
}
