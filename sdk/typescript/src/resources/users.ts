/** A tenant's users, their tokens, and who else says who they are. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Issuer, Schema, User, UserToken } from "../types.js";
import { Resource } from "./resource.js";

/** A tenant's end users, by id or external id. */
export class Users extends Resource {
  /** Lists users. */
  list(
    query?: ListParams & { external_id?: string; status?: string },
    options?: RequestOptions,
  ): Pages<User> {
    return this.api.list(["users"], query, options);
  }

  /** Makes a user. (One that does not exist is made by its first write, too.) */
  create(params: Schema<"UserSettings">, options?: PostOptions): Promise<User> {
    return this.api.post(["users"], params, options);
  }

  /** One user. */
  get(user: string, options?: RequestOptions): Promise<User> {
    return this.api.get(["users", user], options);
  }

  /** Changes a user. */
  update(user: string, params: Schema<"UserSettings">, options?: RequestOptions): Promise<User> {
    return this.api.patch(["users", user], params, options);
  }

  /** Cancels a user's runs and erases all that is the user's. */
  delete(user: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["users", user], options);
  }
}

/** Tokens that a back end mints for its users: good for minutes, in browsers and apps. */
export class UserTokens extends Resource {
  /** Mints a token of a user. Stores nothing; a new external id makes the user. */
  create(params: Schema<"UserTokenParams">, options?: PostOptions): Promise<UserToken> {
    return this.api.post(["user_tokens"], params, options);
  }
}

/** The tenant's own identity providers, whose tokens its users may come with. */
export class Issuers extends Resource {
  /** Lists issuers. */
  list(query?: ListParams, options?: RequestOptions): Pages<Issuer> {
    return this.api.list(["issuers"], query, options);
  }

  /** Adds an issuer. */
  create(params: Schema<"IssuerParams">, options?: PostOptions): Promise<Issuer> {
    return this.api.post(["issuers"], params, options);
  }

  /** One issuer. */
  get(issuer: string, options?: RequestOptions): Promise<Issuer> {
    return this.api.get(["issuers", issuer], options);
  }

  /** Changes an issuer: what is left out stays. */
  update(issuer: string, params: Partial<Schema<"IssuerParams">>, options?: RequestOptions): Promise<Issuer> {
    return this.api.patch(["issuers", issuer], params, options);
  }

  /** Removes an issuer: its tokens are good for nothing, within seconds. Users stay. */
  delete(issuer: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["issuers", issuer], options);
  }
}
