/**
 * Who calls, and where: what all resources of one client share.
 *
 * Promises that all tries of a call are the same request, byte for byte but for a renewed token.
 */
import { ApiError, ConfigError, EdgeError, HeadwaterError, TimeoutError, TransportError } from "../errors.js";
import { parseObject } from "../json.js";
import { Deadline, reasonOf, sleep, unlessAborted } from "./abort.js";
import type { Auth, Token } from "./auth.js";
import { Call, type CallSpec } from "./call.js";
import { readProblem } from "./problem.js";
import { final, pause, verdict, type RetryPolicy, type Verdict } from "./retry.js";
import type { Transport, WireResponse } from "./transport.js";

/** The settings that clients for several users share. */
export interface CallerSettings {
  base: string;
  auth: Auth;
  transport: Transport;
  retry: RetryPolicy;
  timeoutMs: number;
}

/** A good answer whose body is still to be read. */
export interface Answer {
  response: WireResponse;
  /** The token that was good for it. */
  token: Token | null;
  /** What bounds the reading of its body. */
  deadline: Deadline;
}

/** A try that failed. */
export class Failure {
  constructor(
    readonly error: HeadwaterError,
    readonly verdict: Verdict,
    /** The token that was sent, to renew that and no later one. */
    readonly token: Token | null,
  ) {}
}

/** Sends calls as one user, or as the tenant. */
export class Caller {
  constructor(
    readonly settings: CallerSettings,
    readonly user: string | undefined,
  ) {}

  /** A call that can be sent, and sent again. */
  prepare(spec: CallSpec): Call {
    return new Call(this.settings.base, this.user, spec);
  }

  /** Sends a call, as often as it takes, and reads its JSON. */
  async json<T extends object>(spec: CallSpec): Promise<T> {
    return parseObject<T>(await this.#send(spec, (response) => response.text()), "the answer");
  }

  /** Sends a call, as often as it takes, and reads its bytes. */
  bytes(spec: CallSpec): Promise<ArrayBuffer> {
    return this.#send({ ...spec, accept: "*/*" }, (response) => response.bytes());
  }

  /** Deletes. What is not there (any more) is deleted: a repeated delete is a success. */
  async delete(spec: CallSpec): Promise<void> {
    try {
      await this.#send(spec, (response) => response.text());
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  /** Sends a call, as often as it takes, whose answer has nothing in it. */
  async #send<T>(spec: CallSpec, read: (response: WireResponse) => Promise<T>): Promise<T> {
    const call = this.prepare(spec);
    const signal = spec.options?.signal;
    const limit = (spec.options?.timeoutMs ?? this.settings.timeoutMs) + (spec.extraMs ?? 0);
    let failed = 0;
    let renewed = false;
    for (;;) {
      const outcome = await this.#whole(call, limit, signal, read);
      if (!(outcome instanceof Failure)) return outcome.value;
      const { error, verdict, token } = outcome;
      if (verdict.do === "renew" && !renewed && token !== null && this.settings.auth.renewable) {
        renewed = true;
        await unlessAborted(this.settings.auth.renew(token), signal);
      } else if (verdict.do === "retry") {
        failed += 1;
        const wait = pause(this.settings.retry, failed, verdict.afterMs, Math.random());
        if (wait === null) throw error;
        await sleep(wait, signal);
      } else {
        throw error;
      }
    }
  }

  /** One try, with a bound on the time of head and body together. */
  async #whole<T>(
    call: Call,
    limit: number,
    signal: AbortSignal | undefined,
    read: (response: WireResponse) => Promise<T>,
  ): Promise<{ value: T } | Failure> {
    const answer = await this.head(call, limit, signal);
    if (answer instanceof Failure) return answer;
    try {
      return { value: await read(answer.response) };
    } catch (cause) {
      return broken(cause, answer.deadline, signal, final);
    } finally {
      answer.deadline.release();
    }
  }

  /**
   * One try until the head of a good answer. Its deadline bounds the body too, until it is lifted. Throws what no other try can mend: a
   * signal's reason, a failed token callback.
   */
  async head(call: Call, limit: number, signal: AbortSignal | undefined): Promise<Answer | Failure> {
    const { auth, transport } = this.settings;
    const token = await unlessAborted(auth.token(), signal);
    const deadline = new Deadline(limit, signal);
    let response: WireResponse;
    try {
      response = await transport(call.request(token, deadline.signal));
    } catch (cause) {
      deadline.release();
      // The head of a stream is waited for again: making a run is safe to repeat.
      return broken(cause, deadline, signal, call.stream ? { do: "retry", afterMs: null } : final);
    }
    if (response.status >= 200 && response.status < 300) return { response, token, deadline };
    const failure = await refusal(response, token);
    deadline.abort();
    return failure;
  }
}

/** What a try without a whole answer means. Every call may be repeated: reads and deletes by nature, the rest because they carry an
 * `Idempotency-Key` or set what they name. */
function broken(
  cause: unknown,
  deadline: Deadline,
  signal: AbortSignal | undefined,
  ifLate: Verdict,
): Failure {
  if (signal?.aborted) throw reasonOf(signal);
  if (deadline.expired) return new Failure(new TimeoutError("timed out waiting for an answer"), ifLate, null);
  if (cause instanceof ConfigError) throw cause;
  const error = new TransportError("no complete answer from Headwater", { cause });
  return new Failure(error, { do: "retry", afterMs: null }, null);
}

/** Reads an answer that is no success. Without `Request-Id` it is not Headwater's. */
async function refusal(response: WireResponse, token: Token | null): Promise<Failure> {
  const { status } = response;
  const header = (name: string) => response.header(name);
  const requestId = header("request-id");
  if (requestId === null) return new Failure(new EdgeError(status), verdict(status, null, header), token);
  // What breaks off is what there is.
  const problem = readProblem(status, await startOf(response));
  return new Failure(new ApiError(status, problem, requestId), verdict(status, problem, header), token);
}

/** What an error's body may hold at most; more of it is not read. */
const maxErrorLength = 64 * 1024;

/** The beginning of a body; what breaks off is what there is. */
async function startOf(response: WireResponse): Promise<string> {
  let text = "";
  let decoder: TextDecoder | undefined;
  try {
    while (text.length < maxErrorLength) {
      const piece = await response.read();
      if (piece === null) break;
      text +=
        typeof piece === "string" ? piece : (decoder ??= new TextDecoder()).decode(piece, { stream: true });
    }
  } catch {
    // A body that breaks off, or a deadline: the status says enough.
  }
  return text.slice(0, maxErrorLength);
}
