/** Pages of a list, and everything on all of them. */

interface PageData<Item> {
  readonly data: Item[];
  readonly next_cursor: string | null;
}

/**
 * One page. Iterating over it goes on to the following ones, asking for each when it is needed.
 *
 * @example
 * for await (const analysis of await client.analyses.list({ status: "failed" })) console.log(analysis.id);
 */
export class Page<Item> implements AsyncIterable<Item> {
  readonly data: Item[];
  /** `null` on the last page. */
  readonly next_cursor: string | null;
  readonly #read: (cursor: string) => Promise<PageData<Item>>;

  constructor({ data, next_cursor }: PageData<Item>, read: (cursor: string) => Promise<PageData<Item>>) {
    this.data = data;
    this.next_cursor = next_cursor;
    this.#read = read;
  }

  /** The first page of what `read` gives by cursor; `cursor` is where the caller wants to begin. */
  static async first<Item>(
    cursor: string | undefined,
    read: (cursor: string | undefined) => Promise<PageData<Item>>,
  ): Promise<Page<Item>> {
    return new Page(await read(cursor), read);
  }

  /** `null` after the last one. */
  async next(): Promise<Page<Item> | null> {
    return this.next_cursor === null ? null : new Page(await this.#read(this.next_cursor), this.#read);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for (let page: Page<Item> | null = this; page !== null; page = await page.next()) yield* page.data;
  }
}
