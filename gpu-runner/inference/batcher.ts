/**
 * One session, many images: tiles of the same shape from any of them run as one batch.
 *
 * The session blocks the thread while it runs. Between two batches the event loop turns, so that a withdrawn lease is
 * seen before its tiles cost anything.
 */
import type { ModalityOverride, ModelOutput, Session } from "./session.ts";

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

interface Waiting {
  readonly tile: Tile;
  readonly signal: AbortSignal;
  readonly resolve: (result: TileResult) => void;
  readonly reject: (reason: unknown) => void;
}

const domainCount = 4;

export class Batcher {
  readonly #session: Session;
  readonly #largest: number;
  #waiting: Waiting[] = [];
  #running = false;

  /** @param largest tiles in one batch: more gains nothing on a CPU, a GPU wants several. */
  constructor(session: Session, largest: number) {
    this.#session = session;
    this.#largest = largest;
  }

  /** The model's answer for one tile; rejects with the signal's reason when that is aborted before its turn. */
  run(tile: Tile, signal: AbortSignal): Promise<TileResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ tile, signal, resolve, reject });
      if (!this.#running) {
        this.#running = true;
        setImmediate(() => void this.#work());
      }
    });
  }

  async #work(): Promise<void> {
    for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
      try {
        const output = await this.#session.run(assemble(batch.map(({ tile }) => tile)));
        batch.forEach(({ tile, resolve }, i) => {
          resolve(resultAt(output, i, tile.height * tile.width));
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      await new Promise(setImmediate);
    }
    this.#running = false;
  }

  /** The oldest tile and others of its shape, in the order they came; aborted ones are dropped. */
  #next(): Waiting[] {
    const alive: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.signal.aborted) waiting.reject(waiting.signal.reason);
      else alive.push(waiting);
    }
    const oldest = alive[0];
    const batch = alive
      .filter(({ tile }) => tile.width === oldest?.tile.width && tile.height === oldest.tile.height)
      .slice(0, this.#largest);
    this.#waiting = alive.filter((waiting) => !batch.includes(waiting));
    return batch;
  }
}

function assemble(tiles: readonly Tile[]) {
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
    pixels: tiles.length === 1 ? first.pixels : Buffer.concat(tiles.map((tile) => tile.pixels)),
    qtable,
    jpeg: Uint8Array.from(tiles, (tile) => (tile.jpeg ? 1 : 0)),
    modalityOverride: Int8Array.from(tiles, (tile) => tile.modalityOverride),
  };
}

function resultAt(output: ModelOutput, i: number, area: number): TileResult {
  return {
    probability: output.probability.subarray(i * area, (i + 1) * area),
    score: output.score[i] ?? Number.NaN,
    gate: output.gate[i] ?? Number.NaN,
    domain: Array.from(output.domain.subarray(i * domainCount, (i + 1) * domainCount)),
  };
}
