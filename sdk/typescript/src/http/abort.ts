/**
 * Waiting that can be given up: timers and signals, with nothing left behind.
 *
 * Promises that every listener and timer is gone when what it was for is over. `AbortSignal.any` and `.timeout` are not in every runtime.
 */

/** The reason of a signal that was aborted. React Native's signals have none, and no `DOMException` either. */
export function reasonOf(signal: AbortSignal): unknown {
  if (signal.reason !== undefined) return signal.reason;
  return Object.assign(new Error("This operation was aborted"), { name: "AbortError" });
}

/** Waits so many milliseconds; rejects with the signal's reason. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal));
    const timer = setTimeout(done, ms);
    function aborted() {
      clearTimeout(timer);
      reject(reasonOf(signal as AbortSignal));
    }
    function done() {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** The value of a promise, unless the signal is aborted first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(reasonOf(signal));
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** One try's own signal: aborted by the caller's, by a deadline, or by `abort`. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = false;

  constructor(ms: number | null, outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer?.aborted) this.#controller.abort(reasonOf(outer));
    outer?.addEventListener("abort", this.#follow, { once: true });
    if (ms !== null) {
      this.#timer = setTimeout(() => {
        this.#expired = true;
        this.#controller.abort();
      }, ms);
    }
  }

  /** To be given to the transport. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether time ran out. */
  get expired(): boolean {
    return this.#expired;
  }

  /** There is time without end from now on; the caller's signal still counts. */
  lift(): void {
    clearTimeout(this.#timer);
  }

  /** It is over: nothing is listened to any more. */
  release(): void {
    this.lift();
    this.#outer?.removeEventListener("abort", this.#follow);
  }

  /** Ends what the signal was given to. */
  abort(): void {
    this.release();
    this.#controller.abort();
  }

  readonly #follow = () => {
    this.#controller.abort(reasonOf(this.#outer as AbortSignal));
  };
}
