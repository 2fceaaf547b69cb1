/** Questions to people. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Approval, Decision, Schema } from "../types.js";
import { Resource } from "./resource.js";

/** Which questions. */
export interface ApprovalListParams extends ListParams {
  /** One or several statuses, comma-separated: `pending`. */
  status?: string;
  run?: string;
  thread?: string;
  user?: string;
}

/** What a person decides; `remember` may be left out. */
export type DecisionParams = Omit<Decision, "remember"> & { remember?: Schema<"Remember"> | null };

/** What people are asked before a tool is called, and what they say. */
export class Approvals extends Resource {
  /** Lists what people are asked, and were. */
  list(query?: ApprovalListParams, options?: RequestOptions): Pages<Approval> {
    return this.api.list(["approvals"], query, options);
  }

  /** One question, and what was decided. */
  get(approval: string, options?: RequestOptions): Promise<Approval> {
    return this.api.get(["approvals", approval], options);
  }

  /** Decides. The same decision may be sent again; another one is refused with `already_decided`. */
  decide(run: string, approval: string, params: DecisionParams, options?: PostOptions): Promise<Approval> {
    return this.api.post(["runs", run, "approvals", approval], params, options);
  }
}
