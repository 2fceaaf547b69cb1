/**
 * Credentials: a fixed bearer, or a callback that gives user tokens.
 *
 * Promises that one expired token makes one call of the callback, however many calls and streams find out at once. Secrets are in private
 * fields: no inspection shows them.
 */
import { ConfigError, TokenError } from "../errors.js";

/** Gives a user's token; asked at the first call, and again whenever one has expired. */
export type TokenCallback = () => string | Promise<string>;

/** A token, and a number that tells whether somebody else has renewed it already. */
export class Token {
  readonly #header: string;
  constructor(
    secret: unknown,
    readonly generation: number,
  ) {
    // The runtime's own error would quote the secret.
    if (typeof secret !== "string" || !/^[\x21-\x7e]+$/.test(secret)) {
      throw new ConfigError("the credential is empty or holds characters that no header can");
    }
    this.#header = `Bearer ${secret}`;
  }
  /** The value of `Authorization`. */
  header(): string {
    return this.#header;
  }
}

/** Where the `Authorization` header comes from. */
export class Auth {
  readonly #ask: TokenCallback | undefined;
  #current: Promise<Token> | undefined;
  /** The number of the token that `#current` gives or will give. */
  #generation = 0;

  constructor(apiKey: string | undefined, token: string | TokenCallback | undefined) {
    if (apiKey !== undefined && token !== undefined)
      throw new ConfigError("give an apiKey or a token, not both");
    if (typeof token === "function") {
      this.#ask = token;
    } else if (apiKey !== undefined || token !== undefined) {
      this.#current = Promise.resolve(new Token(apiKey ?? token, 0));
    }
  }

  /** Whether an expired token can be replaced. */
  get renewable(): boolean {
    return this.#ask !== undefined;
  }

  /** The token to send, or none. */
  async token(): Promise<Token | null> {
    if (this.#ask !== undefined) this.#current ??= this.#renewed(this.#ask);
    return (await this.#current) ?? null;
  }

  /** Renews `stale`, unless that has happened already or is under way. */
  async renew(stale: Token): Promise<void> {
    if (this.#ask === undefined) return;
    if (this.#current === undefined || this.#generation === stale.generation) {
      this.#current = this.#renewed(this.#ask);
    }
    await this.#current;
  }

  #renewed(ask: TokenCallback): Promise<Token> {
    const generation = ++this.#generation;
    const asked: Promise<Token> = Promise.resolve()
      .then(ask)
      .catch((cause: unknown) => {
        throw new TokenError(cause);
      })
      .then((secret) => new Token(secret, generation));
    // A callback that failed is asked again by the next call, not remembered.
    asked.catch(() => {
      if (this.#current === asked) this.#current = undefined;
    });
    return asked;
  }
}
