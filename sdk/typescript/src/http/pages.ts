/** Lists: one page, or everything, asked for page by page as it is read. */
import type { List } from "../types.js";
import type { Query } from "./call.js";

/** What all lists take. */
export interface ListParams {
  /** How many objects a page holds: 1 to 100, 20 unless set. */
  limit?: number;
  /** What follows this `next_cursor`. */
  after?: string;
  /** By creation: the newest first (`desc`) unless set. */
  order?: "asc" | "desc";
}

/** A list. Nothing is asked for before it is read. */
export class Pages<Item> implements AsyncIterable<Item> {
  readonly #query: Query;
  readonly #fetch: (query: Query) => Promise<List<Item>>;

  /** @internal */
  constructor(query: object | undefined, fetch: (query: Query) => Promise<List<Item>>) {
    this.#query = { ...query };
    this.#fetch = fetch;
  }

  /** The first page (after `after`, if that is set). */
  page(): Promise<List<Item>> {
    return this.#fetch(this.#query);
  }

  /** All pages, one after the other. */
  async *pages(): AsyncGenerator<List<Item>, void, undefined> {
    let query = this.#query;
    for (;;) {
      const page = await this.#fetch(query);
      yield page;
      if (!page.has_more || page.next_cursor === null) return;
      query = { ...this.#query, after: page.next_cursor };
    }
  }

  /** All objects of all pages. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* page.data;
  }
}
