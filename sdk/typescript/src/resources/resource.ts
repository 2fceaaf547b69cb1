/**
 * What resources are made of.
 *
 * Every method is an operation of docs/openapi.json, named by its operationId (`webhook_endpoints_rotate_secret` is
 * `webhookEndpoints.rotateSecret`), and takes the path's names, then the body or the query, then options. All reject with a `HeadwaterError`,
 * mostly an `ApiError`, or with the reason of `options.signal`.
 */
import type { CallSpec, PostOptions, RequestOptions } from "../http/call.js";
import type { Caller } from "../http/caller.js";
import { Pages } from "../http/pages.js";
import type { List } from "../types.js";

/** Options of a change that may be refused because somebody else was faster. */
export interface UpdateOptions extends RequestOptions {
  /** The `ETag` that the object must still have; `ApiError` with code `version_conflict` if it has another. */
  ifMatch?: string;
}

/** The few verbs that all operations are made of. */
export class Verbs {
  constructor(readonly caller: Caller) {}

  get<T extends object>(path: string[], options?: RequestOptions, more?: Partial<CallSpec>): Promise<T> {
    return this.caller.json({ method: "GET", path, options, ...more });
  }

  list<T>(path: string[], query?: object, options?: RequestOptions): Pages<T> {
    return new Pages(query, (query) => this.caller.json<List<T>>({ method: "GET", path, query, options }));
  }

  post<T extends object>(
    path: string[],
    body: unknown,
    options?: PostOptions,
    more?: Partial<CallSpec>,
  ): Promise<T> {
    return this.caller.json({ method: "POST", path, body, options, ...more });
  }

  put<T extends object>(path: string[], body: unknown, options?: RequestOptions): Promise<T> {
    return this.caller.json({ method: "PUT", path, body, options });
  }

  patch<T extends object>(path: string[], body: unknown, options?: UpdateOptions): Promise<T> {
    const headers = options?.ifMatch === undefined ? {} : { "if-match": options.ifMatch };
    return this.caller.json({ method: "PATCH", path, body, options, headers });
  }

  /** What is not there (any more) is deleted: a repeated delete is a success. */
  delete(path: string[], options?: RequestOptions): Promise<void> {
    return this.caller.delete({ method: "DELETE", path, options });
  }
}

/** Operations on one kind of object. */
export abstract class Resource {
  readonly #api: Verbs;
  /** @internal */
  constructor(api: Verbs) {
    this.#api = api;
  }
  /** @internal */
  protected get api(): Verbs {
    return this.#api;
  }
}
