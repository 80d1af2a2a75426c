/**
 * Tiles on their way from the threads that make them to the one that hands them to the sessions, and back.
 *
 * A tile's pixels are written into memory that both threads see, from where the session reads them; its probabilities
 * come back in the same place. Only numbers travel in messages. The memory is used again for the next tile.
 */
import type { Tile, TileResult, TileRunner } from "./batcher.ts";

/** A tile of the thread's job, and where its pixels lie. */
export interface OfferedTile extends Omit<Tile, "pixels"> {
  readonly id: number;
  /** `height` × `width` × 3 bytes or more of RGB; afterwards `height` × `width` of probabilities. */
  readonly memory: SharedArrayBuffer;
}

export type AnsweredTile = { readonly id: number } & (
  | Omit<TileResult, "probability">
  /** Why the session did not answer. */
  | { readonly failure: string }
);

/** Bytes of memory for tiles that stay from one job to the next: memory that is new every time is garbage to collect. */
const keptBetweenJobs = 4 * 2 ** 20;

interface Outstanding {
  readonly memory: SharedArrayBuffer;
  readonly area: number;
  readonly resolve: (result: TileResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** The thread's end: gives tiles away and waits for their answers. */
export class TileExchange implements TileRunner {
  readonly #offer: (tile: OfferedTile) => void;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #free: SharedArrayBuffer[] = [];
  #lastId = 0;

  constructor(offer: (tile: OfferedTile) => void) {
    this.#offer = offer;
  }

  /** Of a job that is withdrawn the session's thread knows by itself, and answers: until then the memory is in use. */
  run({ pixels, ...tile }: Tile, signal: AbortSignal): Promise<TileResult> {
    signal.throwIfAborted();
    const id = ++this.#lastId;
    const memory = this.#take(pixels.length);
    new Uint8Array(memory).set(pixels);
    return new Promise((resolve, reject) => {
      this.#outstanding.set(id, { memory, area: tile.width * tile.height, resolve, reject });
      this.#offer({ id, memory, ...tile });
    });
  }

  /** What the session's thread says of a tile. */
  answered(answer: AnsweredTile): void {
    const tile = this.#outstanding.get(answer.id);
    if (tile === undefined) throw new Error(`there is no tile ${answer.id}`);
    this.#outstanding.delete(answer.id);
    if ("failure" in answer) {
      tile.reject(new Error(answer.failure));
    } else {
      const { score, gate, domain } = answer;
      tile.resolve({ probability: new Uint8Array(tile.memory, 0, tile.area).slice(), score, gate, domain });
    }
    this.#free.push(tile.memory);
  }

  /** Gives back all but a few tiles' worth; between two jobs. */
  release(): void {
    let kept = 0;
    this.#free.sort((a, b) => a.byteLength - b.byteLength);
    for (const [i, { byteLength }] of this.#free.entries()) {
      kept += byteLength;
      if (kept <= keptBetweenJobs) continue;
      this.#free.length = i;
      return;
    }
  }

  #take(size: number): SharedArrayBuffer {
    const fitting = this.#free.findIndex(({ byteLength }) => byteLength >= size);
    return this.#free.splice(fitting, fitting < 0 ? 0 : 1)[0] ?? new SharedArrayBuffer(size);
  }
}
