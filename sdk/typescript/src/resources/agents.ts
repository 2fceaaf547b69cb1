/** Agents, their versions, and the models they can use. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Agent, Model, Schema } from "../types.js";
import { Resource, type UpdateOptions } from "./resource.js";

/** What an agent is, and the tenant's own pairs. All but `model` may be left out. */
export type AgentConfig = Schema<"AgentConfig"> & { metadata?: Record<string, string> };

/** A new agent: its configuration is flat beside its name (`[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant). */
export type AgentParams = AgentConfig & { name: string };

/** A change of an agent; `null` clears. */
export type AgentUpdate = Partial<AgentConfig> & {
  /** The version that new runs use: rolls back. Goes with no change of the configuration. */
  active_version?: number;
  /** Whether the version that the change makes is used by new runs: `true` unless set. */
  activate?: boolean;
};

/** Which agents. */
export interface AgentListParams extends ListParams {
  /** Those that are archived instead of those that are not. */
  archived?: boolean;
}

/** Agents: actors that a tenant configures. User tokens see their name, description and metadata only. */
export class Agents extends Resource {
  /** Lists agents. */
  list(query?: AgentListParams, options?: RequestOptions): Pages<Agent> {
    return this.api.list(["agents"], query, options);
  }

  /** Makes an agent, version 1. */
  create(params: AgentParams, options?: PostOptions): Promise<Agent> {
    return this.api.post(["agents"], params, options);
  }

  /** One agent, by id or name. */
  get(agent: string, options?: RequestOptions): Promise<Agent> {
    return this.api.get(["agents", agent], options);
  }

  /** Changes an agent by a merge patch; a change of its configuration makes the next version. */
  update(agent: string, params: AgentUpdate, options?: UpdateOptions): Promise<Agent> {
    return this.api.patch(["agents", agent], params, options);
  }

  /** Makes the agent of this name, or makes it so. For files and CI: no new version when nothing changes. */
  put(agent: string, params: AgentConfig, options?: RequestOptions): Promise<Agent> {
    return this.api.put(["agents", agent], params, options);
  }

  /** Archives an agent: no new runs, history stays, its name is free again. */
  archive(agent: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["agents", agent], options);
  }
}

/** Versions of an agent: immutable, numbered from 1. */
export class AgentVersions extends Resource {
  /** Lists an agent's versions. */
  list(agent: string, query?: ListParams, options?: RequestOptions): Pages<Agent> {
    return this.api.list(["agents", agent, "versions"], query, options);
  }

  /** One version of an agent. */
  get(agent: string, version: number | string, options?: RequestOptions): Promise<Agent> {
    return this.api.get(["agents", agent, "versions", String(version)], options);
  }
}

/** Models. */
export class Models extends Resource {
  /** The models that agents can use. */
  list(options?: RequestOptions): Pages<Model> {
    return this.api.list(["models"], undefined, options);
  }
}
