/** What one process of the server tells its operator about itself. */
import type { RequestOptions } from "../http/call.js";
import type { Schema } from "../types.js";
import { Resource } from "./resource.js";

/** What goes on at the model providers. For the operator. */
export class Limiter extends Resource {
  /** Limits, who has a place and who waits for one, as the process that answers sees it. */
  get(options?: RequestOptions): Promise<Schema<"Limiter">> {
    return this.api.get(["limiter"], options);
  }
}

/** Whether a process is quiet. For the operator. */
export class Quiet extends Resource {
  /** Whether it is, and what keeps it awake. An answer is a packet: whoever asks again and again keeps its host awake. */
  get(options?: RequestOptions): Promise<Schema<"QuietStatus">> {
    return this.api.get(["quiet"], options);
  }
}

/** Whether the installation is well. For the operator. */
export class Doctor extends Resource {
  /** What was found, as far as a running server can look. */
  get(options?: RequestOptions): Promise<Schema<"Doctor">> {
    return this.api.get(["doctor"], options);
  }
}
