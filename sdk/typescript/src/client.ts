/** The client itself: settings, and one property for each resource. */
import { ConfigError } from "./errors.js";
import { Auth, type TokenCallback } from "./http/auth.js";
import { baseUrl, type RequestOptions } from "./http/call.js";
import { Caller, type CallerSettings } from "./http/caller.js";
import { defaultRetry, type RetryPolicy } from "./http/retry.js";
import { pickTransport } from "./http/transport.js";
import { Agents, AgentVersions, Models } from "./resources/agents.js";
import { Approvals } from "./resources/approvals.js";
import { Artifacts } from "./resources/artifacts.js";
import { Budgets, UsageCalls, UsageSums } from "./resources/budgets.js";
import { McpServers, McpServerTools } from "./resources/mcp.js";
import { Doctor, Limiter, Quiet } from "./resources/operations.js";
import { Verbs } from "./resources/resource.js";
import { Runs, ThreadRuns } from "./resources/runs.js";
import { Schedules } from "./resources/schedules.js";
import {
  OwnTenant,
  Plans,
  TenantBudgets,
  TenantKeys,
  TenantPricing,
  Tenants,
  TenantUsage,
} from "./resources/tenants.js";
import { Messages, Threads } from "./resources/threads.js";
import { Memory, ProviderKeys, Secrets } from "./resources/tools.js";
import { Issuers, Users, UserTokens } from "./resources/users.js";
import { WebhookDeliveries, WebhookEndpoints } from "./resources/webhooks.js";
import type { Principal } from "./types.js";
import { Webhooks } from "./webhook-signature.js";

/** Settings of a client. */
export interface HeadwaterOptions {
  /** Where Headwater is: `https://HOST`, with or without a path in front of it and `/v1` behind it. */
  baseUrl: string;
  /** A tenant's secret key (`hw_sk_…`) or the operator's (`hw_op_…`). For back ends only: never in a page or an app. */
  apiKey?: string | undefined;
  /**
   * A user's token, or where tokens come from: asked at the first call, and again whenever the server says that one has expired. However many
   * calls and streams find out at once, it is asked once. Give this or `apiKey`.
   */
  token?: string | TokenCallback | undefined;
  /** Acts as this user of the tenant (`external_id` or `usr_…`), with a secret key. */
  user?: string | undefined;
  /** How calls are repeated. */
  retry?: Partial<RetryPolicy> | undefined;
  /** How long one try of a call may take in ms, and a stream until its head is there: 30 000 unless set. */
  timeoutMs?: number | undefined;
  /** A `fetch` of one's own, for tests, proxies and runtimes: it has to honour `signal`, and stream bodies if streams are to be live. */
  fetch?: typeof fetch | undefined;
}

/**
 * Headwater's API for one credential. Connects to nothing before it is asked something.
 *
 * ```ts
 * const hw = new Headwater({ baseUrl: "https://headwater.example", apiKey: process.env.HEADWATER_API_KEY });
 * const words = await hw.asUser("alice").runs.createAndStream({ agent: "assistant", input: "Where is order 7?" }).text();
 * ```
 */
export class Headwater {
  readonly #settings: CallerSettings;
  readonly #api: Verbs;

  /** Actors that the tenant configures. */
  readonly agents: Agents;
  /** What agents were. */
  readonly agentVersions: AgentVersions;
  /** Questions to people. */
  readonly approvals: Approvals;
  /** Files: what messages show, and what tools have made. */
  readonly artifacts: Artifacts;
  /** Limits on what runs may cost. */
  readonly budgets: Budgets;
  /** MCP servers whose tools agents may use. */
  readonly mcpServers: McpServers;
  /** Tools of MCP servers. */
  readonly mcpServerTools: McpServerTools;
  /** What is remembered of a user. */
  readonly memory: Memory;
  /** Messages of threads. */
  readonly messages: Messages;
  /** What agents can use. */
  readonly models: Models;
  /** What tenants get. For the operator. */
  readonly plans: Plans;
  /** The tenant's own keys at model providers. */
  readonly providerKeys: ProviderKeys;
  /** Executions of agents, and the streams of their events. */
  readonly runs: Runs;
  /** Runs again and again. */
  readonly schedules: Schedules;
  /** Values that tools are called with. */
  readonly secrets: Secrets;
  /** The caller's own tenant. */
  readonly tenant: OwnTenant;
  /** Budgets of tenants. For the operator. */
  readonly tenantBudgets: TenantBudgets;
  /** Secret keys of tenants. For the operator. */
  readonly tenantKeys: TenantKeys;
  /** What tenants pay. For the operator. */
  readonly tenantPrices: TenantPricing;
  /** What tenants used. For the operator. */
  readonly tenantUsage: TenantUsage;
  /** All tenants. For the operator. */
  readonly tenants: Tenants;
  /** Runs on a thread that is there. */
  readonly threadRuns: ThreadRuns;
  /** Lines of messages between a user and agents. */
  readonly threads: Threads;
  /** What was used, in sums. */
  readonly usage: UsageSums;
  /** What was used, call by call. */
  readonly usageCalls: UsageCalls;
  /** Tokens that a back end mints for its users. */
  readonly userTokens: UserTokens;
  /** The tenant's end users. */
  readonly users: Users;
  /** The tenant's own identity providers. */
  readonly issuers: Issuers;
  /** What goes on at the model providers; for the operator. */
  readonly limiter: Limiter;
  /** Whether a process is quiet; for the operator. */
  readonly quiet: Quiet;
  /** Whether the installation is well; for the operator. */
  readonly doctor: Doctor;
  /** What was sent to webhook endpoints. */
  readonly webhookDeliveries: WebhookDeliveries;
  /** Where the tenant's own server is told what happens. */
  readonly webhookEndpoints: WebhookEndpoints;
  /** Verifies webhooks that came. Needs no credential. */
  readonly webhooks = new Webhooks();

  /** Throws `ConfigError` for settings that cannot work. */
  constructor(options: HeadwaterOptions);
  /** @internal */
  constructor(options: CallerSettings, user: string | undefined);
  constructor(options: HeadwaterOptions | CallerSettings, user?: string) {
    this.#settings = "auth" in options ? options : settingsOf(options);
    const caller = new Caller(this.#settings, "auth" in options ? user : options.user);
    const api = new Verbs(caller);
    this.#api = api;
    this.agents = new Agents(api);
    this.agentVersions = new AgentVersions(api);
    this.approvals = new Approvals(api);
    this.artifacts = new Artifacts(api);
    this.budgets = new Budgets(api);
    this.mcpServers = new McpServers(api);
    this.mcpServerTools = new McpServerTools(api);
    this.memory = new Memory(api);
    this.messages = new Messages(api);
    this.models = new Models(api);
    this.plans = new Plans(api);
    this.providerKeys = new ProviderKeys(api);
    this.runs = new Runs(api);
    this.schedules = new Schedules(api);
    this.secrets = new Secrets(api);
    this.tenant = new OwnTenant(api);
    this.tenantBudgets = new TenantBudgets(api);
    this.tenantKeys = new TenantKeys(api);
    this.tenantPrices = new TenantPricing(api);
    this.tenantUsage = new TenantUsage(api);
    this.tenants = new Tenants(api);
    this.threadRuns = new ThreadRuns(api);
    this.threads = new Threads(api);
    this.usage = new UsageSums(api);
    this.usageCalls = new UsageCalls(api);
    this.userTokens = new UserTokens(api);
    this.users = new Users(api);
    this.issuers = new Issuers(api);
    this.limiter = new Limiter(api);
    this.quiet = new Quiet(api);
    this.doctor = new Doctor(api);
    this.webhookDeliveries = new WebhookDeliveries(api);
    this.webhookEndpoints = new WebhookEndpoints(api);
  }

  /** The same client acting as another user of the tenant (`external_id` or `usr_…`). Credential and settings are shared. */
  asUser(user: string): Headwater {
    return new Headwater(this.#settings, user);
  }

  /** The same client acting as the tenant itself. */
  asTenant(): Headwater {
    return new Headwater(this.#settings, undefined);
  }

  /** Who is calling. */
  me(options?: RequestOptions): Promise<Principal> {
    return this.#api.get(["me"], options);
  }
}

function settingsOf(options: HeadwaterOptions): CallerSettings {
  if (typeof options?.baseUrl !== "string") throw new ConfigError("baseUrl is missing");
  return {
    base: baseUrl(options.baseUrl),
    auth: new Auth(options.apiKey, options.token),
    transport: pickTransport(options.fetch),
    retry: { ...defaultRetry, ...options.retry },
    timeoutMs: options.timeoutMs ?? 30_000,
  };
}
