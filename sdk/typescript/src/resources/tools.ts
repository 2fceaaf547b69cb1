/** What tools need and leave behind: secrets, keys at model providers, the user's memory. */
import type { RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { MemoryEntry, Schema, Secret } from "../types.js";
import { Resource } from "./resource.js";

/** A secret's value, and the hosts that it may be sent to. */
export type SecretParams = Schema<"SecretParams">;
/** The tenant's own key at a model provider. */
export type ProviderKey = Schema<"ProviderKey">;

/** Values that tools are called with. They are never shown. */
export class Secrets extends Resource {
  /** Lists the names of all secrets: never their values. */
  list(options?: RequestOptions): Pages<Secret> {
    return this.api.list(["secrets"], undefined, options);
  }

  /** Keeps a secret, in place of one of the same name. */
  put(name: string, params: SecretParams, options?: RequestOptions): Promise<Secret> {
    return this.api.put(["secrets", name], params, options);
  }

  /** Forgets a secret. Tools that name it fail from now on. */
  delete(name: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["secrets", name], options);
  }
}

/** The tenant's own keys at model providers. */
export class ProviderKeys extends Resource {
  /** Lists the providers at which the tenant has a key of its own. */
  list(options?: RequestOptions): Pages<ProviderKey> {
    return this.api.list(["provider_keys"], undefined, options);
  }

  /** Keeps the tenant's own key at a provider, to be used instead of the platform's within 5 s. */
  put(provider: string, params: Schema<"ProviderKeyParams">, options?: RequestOptions): Promise<ProviderKey> {
    return this.api.put(["provider_keys", provider], params, options);
  }

  /** Forgets a key: calls use the platform's again. */
  delete(provider: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["provider_keys", provider], options);
  }
}

/** What is remembered of a user, across threads. */
export class Memory extends Resource {
  /** Lists what is remembered, in the order of the keys; `prefix` is of keys. */
  list(
    query?: Omit<ListParams, "order"> & { prefix?: string },
    options?: RequestOptions,
  ): Pages<MemoryEntry> {
    return this.api.list(["memory"], query, options);
  }

  /** What is remembered under a key. */
  get(key: string, options?: RequestOptions): Promise<MemoryEntry> {
    return this.api.get(["memory", key], options);
  }

  /** Remembers something under a key, in place of what was there. */
  put(key: string, params: Schema<"MemoryParams">, options?: RequestOptions): Promise<MemoryEntry> {
    return this.api.put(["memory", key], params, options);
  }

  /** Forgets what is remembered under a key. */
  delete(key: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["memory", key], options);
  }
}
