/** Threads and their messages. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Content, Message, Schema, Thread } from "../types.js";
import { Resource } from "./resource.js";

/** Which threads. */
export interface ThreadListParams extends ListParams {
  external_id?: string;
  /** `idle`, `busy` or `suspended`; several are comma-separated. */
  status?: string;
  user?: string;
}

/** A message of the past. */
export interface MessageParams {
  /** `user`; a tenant's key may also say `assistant`. */
  role: "user" | "assistant";
  content: Content;
  metadata?: Record<string, string>;
}

/** Threads: lines of messages between one user and agents. */
export class Threads extends Resource {
  /** Lists threads. */
  list(query?: ThreadListParams, options?: RequestOptions): Pages<Thread> {
    return this.api.list(["threads"], query, options);
  }

  /** Makes a thread. */
  create(params: Schema<"ThreadSettings"> = {}, options?: PostOptions): Promise<Thread> {
    return this.api.post(["threads"], params, options);
  }

  /** One thread. */
  get(thread: string, options?: RequestOptions): Promise<Thread> {
    return this.api.get(["threads", thread], options);
  }

  /** Changes a thread. */
  update(thread: string, params: Schema<"ThreadSettings">, options?: RequestOptions): Promise<Thread> {
    return this.api.patch(["threads", thread], params, options);
  }

  /** Cancels a thread's runs and erases it with all that hangs on it. */
  delete(thread: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["threads", thread], options);
  }
}

/** Messages of threads. */
export class Messages extends Resource {
  /** Lists a thread's messages. */
  list(
    thread: string,
    query?: ListParams & { run?: string; role?: string },
    options?: RequestOptions,
  ): Pages<Message> {
    return this.api.list(["threads", thread, "messages"], query, options);
  }

  /** Adds a message of the past, without a run. */
  create(thread: string, params: MessageParams, options?: PostOptions): Promise<Message> {
    return this.api.post(["threads", thread, "messages"], params, options);
  }

  /** One message. */
  get(thread: string, message: string, options?: RequestOptions): Promise<Message> {
    return this.api.get(["threads", thread, "messages", message], options);
  }
}
