/** Tenants: what a tenant may do with itself, and what the operator may do with all of them. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { ApiKey, Budget, List, Plan, Schema, Tenant, UsageGroup } from "../types.js";
import type { UsageParams } from "./budgets.js";
import { Resource } from "./resource.js";

/** What may be set on a tenant. */
export type TenantSettings = Schema<"TenantSettings">;
/** What a tenant pays otherwise than the table of prices says. */
export type TenantPrices = Schema<"TenantPrices">;

/** The caller's own tenant. */
export class OwnTenant extends Resource {
  /** The caller's own tenant. */
  get(options?: RequestOptions): Promise<Tenant> {
    return this.api.get(["tenant"], options);
  }

  /** Changes what a tenant may change of itself. */
  update(params: Partial<TenantSettings>, options?: RequestOptions): Promise<Tenant> {
    return this.api.patch(["tenant"], params, options);
  }
}

/** All tenants. For the operator. */
export class Tenants extends Resource {
  /** Lists tenants. */
  list(query?: ListParams, options?: RequestOptions): Pages<Tenant> {
    return this.api.list(["tenants"], query, options);
  }

  /** Makes a tenant. */
  create(params: TenantSettings, options?: PostOptions): Promise<Tenant> {
    return this.api.post(["tenants"], params, options);
  }

  /** One tenant. */
  get(tenant: string, options?: RequestOptions): Promise<Tenant> {
    return this.api.get(["tenants", tenant], options);
  }

  /** Changes a tenant. */
  update(tenant: string, params: Partial<TenantSettings>, options?: RequestOptions): Promise<Tenant> {
    return this.api.patch(["tenants", tenant], params, options);
  }

  /** Erases a tenant with all that is its own. */
  delete(tenant: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["tenants", tenant], options);
  }
}

/** Budgets that the operator sets for a tenant. */
export class TenantBudgets extends Resource {
  /** Lists a tenant's budgets, its own included. */
  list(tenant: string, query?: ListParams, options?: RequestOptions): Pages<Budget> {
    return this.api.list(["tenants", tenant, "budgets"], query, options);
  }

  /** Makes a budget of the operator's for a tenant, who sees it and cannot change it. */
  create(tenant: string, params: Schema<"BudgetParams">, options?: PostOptions): Promise<Budget> {
    return this.api.post(["tenants", tenant, "budgets"], params, options);
  }

  /** One budget of a tenant. */
  get(tenant: string, budget: string, options?: RequestOptions): Promise<Budget> {
    return this.api.get(["tenants", tenant, "budgets", budget], options);
  }

  /** Changes a budget of the operator's. */
  update(
    tenant: string,
    budget: string,
    params: Schema<"BudgetUpdate">,
    options?: RequestOptions,
  ): Promise<Budget> {
    return this.api.patch(["tenants", tenant, "budgets", budget], params, options);
  }

  /** Removes a budget of the operator's. */
  delete(tenant: string, budget: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["tenants", tenant, "budgets", budget], options);
  }
}

/** Secret keys of tenants. */
export class TenantKeys extends Resource {
  /** Lists a tenant's keys. */
  list(tenant: string, query?: ListParams, options?: RequestOptions): Pages<ApiKey> {
    return this.api.list(["tenants", tenant, "keys"], query, options);
  }

  /** Makes a key of a tenant. Its secret is in this answer and nowhere else. */
  create(tenant: string, params: Schema<"KeyParams">, options?: PostOptions): Promise<ApiKey> {
    return this.api.post(["tenants", tenant, "keys"], params, options);
  }

  /** Revokes a key, everywhere within 5 s. */
  revoke(tenant: string, key: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["tenants", tenant, "keys", key], options);
  }
}

/** What tenants pay. */
export class TenantPricing extends Resource {
  /** What a tenant pays otherwise than the table of prices says. */
  get(tenant: string, options?: RequestOptions): Promise<TenantPrices> {
    return this.api.get(["tenants", tenant, "prices"], options);
  }

  /** Sets what a tenant pays from now on. What was settled stays as it was. */
  put(tenant: string, params: TenantPrices, options?: RequestOptions): Promise<TenantPrices> {
    return this.api.put(["tenants", tenant, "prices"], params, options);
  }
}

/** What tenants used. */
export class TenantUsage extends Resource {
  /** Sums of a tenant's model calls, as the tenant sees them. */
  get(tenant: string, query?: UsageParams, options?: RequestOptions): Promise<List<UsageGroup>> {
    return this.api.get(["tenants", tenant, "usage"], options, { query: { ...query } });
  }
}

/** What tenants get. For the operator. */
export class Plans extends Resource {
  /** All plans, by name. */
  list(options?: RequestOptions): Pages<Plan> {
    return this.api.list(["plans"], undefined, options);
  }

  /** One plan. */
  get(plan: string, options?: RequestOptions): Promise<Plan> {
    return this.api.get(["plans", plan], options);
  }

  /** Makes a plan, or changes it for all tenants that are on it. Every process knows within seconds. */
  put(plan: string, params: Schema<"PlanTerms">, options?: RequestOptions): Promise<Plan> {
    return this.api.put(["plans", plan], params, options);
  }
}
