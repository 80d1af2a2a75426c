/** `client.batches`: up to a thousand images in one request. */
import { readResource } from "./answer.ts";
import { parseRetryAfter, pause } from "./backoff.ts";
import { WaitTimeoutError } from "./errors.ts";
import { Page } from "./page.ts";
import type { Batch, BatchItem, BatchItemPage, NewBatch } from "./resources.ts";
import type { CallOptions, Transport, WriteOptions } from "./transport.ts";

/** Seconds between two looks at a batch, where the service does not say. */
const poll = 2;

export class Batches {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Answers at once; the items become analyses bit by bit. */
  async create(params: NewBatch, options: WriteOptions = {}): Promise<Batch> {
    return batchOf(await this.#transport.send({ method: "POST", path: "/v1/batches", json: params, ...options }));
  }

  async retrieve(id: string, options: CallOptions = {}): Promise<Batch> {
    return batchOf(await this.#transport.send({ method: "GET", path: pathOf(id), ...options }));
  }

  /** The items in the order of the request: a page that can be iterated over to the end. */
  items(
    id: string,
    { cursor, limit }: { cursor?: string | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<Page<BatchItem>> {
    return Page.first(cursor, async (from) => {
      const call = { method: "GET", path: `${pathOf(id)}/items`, query: { limit, cursor: from }, ...options } as const;
      return readResource<BatchItemPage>(await this.#transport.send(call), "list");
    });
  }

  /** Begins no further item and cancels those under way. */
  async cancel(id: string, options: WriteOptions = {}): Promise<Batch> {
    return batchOf(await this.#transport.send({ method: "POST", path: `${pathOf(id)}/cancel`, ...options }));
  }

  /** Erases the batch and every analysis that it became. */
  async delete(id: string, options: CallOptions = {}): Promise<void> {
    await this.#transport.send({ method: "DELETE", path: pathOf(id), ...options });
  }

  /**
   * The batch once all its items have ended; `progress` hears of it at every look.
   * Throws {@link WaitTimeoutError} after `timeout` seconds (default 3600).
   */
  async wait(
    id: string,
    options: {
      timeout?: number | undefined;
      signal?: AbortSignal | undefined;
      progress?: ((batch: Batch) => void) | undefined;
    } = {},
  ): Promise<Batch> {
    const { timeout = 3600, signal, progress } = options;
    const deadline = performance.now() + 1000 * timeout;
    for (;;) {
      const response = await this.#transport.send({ method: "GET", path: pathOf(id), signal });
      const current = await batchOf(response);
      progress?.(current);
      if (current.status === "ended") return current;
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0) throw new WaitTimeoutError(id, timeout);
      const asked = parseRetryAfter(response.headers.get("retry-after"));
      await pause(Math.min(asked ?? poll, left), signal);
    }
  }
}

function batchOf(response: Response): Promise<Batch> {
  return readResource<Batch>(response, "batch");
}

function pathOf(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`;
}
