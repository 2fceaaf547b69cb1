/** Money limits, and what was used. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Budget, List, Schema, UsageCall, UsageGroup } from "../types.js";
import { Resource, type UpdateOptions } from "./resource.js";

/** A new budget. */
export type BudgetParams = Schema<"BudgetParams">;
/** A change of a budget. */
export type BudgetUpdate = Schema<"BudgetUpdate">;

/** Which usage: `from` (inclusive) and `to` (exclusive) are days or instants in UTC. */
export interface UsageParams {
  from?: string;
  to?: string;
  /** The lines that sums are made for; a dimension that is not named is `null`. */
  group_by?: readonly ("day" | "user" | "agent" | "model")[];
}

/** Limits on what runs may cost: of the tenant, a user, every user or an agent. */
export class Budgets extends Resource {
  /** Lists budgets: a key sees all, a user those that cover it. */
  list(query?: ListParams & { user?: string }, options?: RequestOptions): Pages<Budget> {
    return this.api.list(["budgets"], query, options);
  }

  /** Makes a budget. It counts from now on, everywhere within a second. */
  create(params: BudgetParams, options?: PostOptions): Promise<Budget> {
    return this.api.post(["budgets"], params, options);
  }

  /** One budget; of one for each user, `user` says whose counter. */
  get(budget: string, query?: { user?: string }, options?: RequestOptions): Promise<Budget> {
    return this.api.get(["budgets", budget], options, { query: { ...query } });
  }

  /** Changes a budget. Runs that wait for it look again. */
  update(budget: string, params: BudgetUpdate, options?: UpdateOptions): Promise<Budget> {
    return this.api.patch(["budgets", budget], params, options);
  }

  /** Removes a budget, with what was counted of it. Runs that wait for it go on. */
  delete(budget: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["budgets", budget], options);
  }
}

/** What was used, in sums. */
export class UsageSums extends Resource {
  /** Sums of model calls by day, user, agent, model. */
  get(query?: UsageParams, options?: RequestOptions): Promise<List<UsageGroup>> {
    return this.api.get(["usage"], options, { query: { ...query } });
  }
}

/** The ledger. */
export class UsageCalls extends Resource {
  /** The ledger, call by call. (All of it as CSV or JSON lines is for other clients.) */
  list(
    query?: Omit<UsageParams, "group_by"> & Omit<ListParams, "order">,
    options?: RequestOptions,
  ): Pages<UsageCall> {
    return this.api.list(["usage", "calls"], query, options);
  }
}
