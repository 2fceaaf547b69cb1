/**
 * Stores that hooks subscribe to: they live while somebody looks.
 *
 * Promises that what changes within one frame is drawn once, that nothing is told after the last subscriber has gone, and that StrictMode's
 * double effects open one connection. A store that is made and never subscribed to does nothing.
 */

/** Draws at most once a frame; where frames are not drawn (hidden pages, no page at all), some times a second. */
function soon(run: () => void): () => void {
  if (typeof requestAnimationFrame === "function" && visible()) {
    const frame = requestAnimationFrame(run);
    return () => cancelAnimationFrame(frame);
  }
  const timer = setTimeout(run, 16);
  return () => clearTimeout(timer);
}

/** Whether somebody may be looking. */
export function visible(): boolean {
  return typeof document === "undefined" || document.visibilityState !== "hidden";
}

/** A value that is followed while it is subscribed to. */
export abstract class Store<State> {
  #state: State;
  #shown: State;
  #running: AbortController | null = null;
  #cancelFlush: (() => void) | null = null;
  #cancelStop: (() => void) | null = null;
  readonly #listeners = new Set<() => void>();

  protected constructor(state: State) {
    this.#state = state;
    this.#shown = state;
  }

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#cancelStop?.();
    this.#cancelStop = null;
    if (this.#running === null) {
      this.#running = new AbortController();
      this.#shown = this.#state;
      this.start(this.#running.signal);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      // StrictMode unsubscribes and comes back in the same breath.
      const timer = setTimeout(() => this.#stop(), 0);
      this.#cancelStop = () => clearTimeout(timer);
    };
  };

  /** For `useSyncExternalStore`: the same value until there is something to draw. */
  readonly getSnapshot = (): State => this.#shown;

  /** The newest value, drawn or not. */
  protected get state(): State {
    return this.#state;
  }

  /** Aborted when nobody looks any more; `null` when nobody does. */
  protected get signal(): AbortSignal | null {
    return this.#running?.signal ?? null;
  }

  /** Begins to follow. */
  protected abstract start(signal: AbortSignal): void;

  /** Changes the value, and draws it within a frame. */
  protected set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    if (this.#running !== null) this.#cancelFlush ??= soon(() => this.flush());
  }

  /** Draws now. */
  protected flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    if (this.#shown === this.#state || this.#running === null) return;
    this.#shown = this.#state;
    for (const listener of [...this.#listeners]) listener();
  }

  #stop(): void {
    this.#cancelStop = null;
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    this.#running?.abort();
    this.#running = null;
  }
}

/**
 * Calls `look` when the page comes back (visible, focused, online), and every `everyMs` while it is visible (0: never). Never while it is
 * hidden. Ends with the signal.
 */
export function whileVisible(look: () => void, everyMs: number, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const plan = () => {
    clearTimeout(timer);
    if (everyMs > 0 && visible() && !signal.aborted) timer = setTimeout(now, everyMs);
  };
  const now = () => {
    if (visible()) look();
    plan();
  };
  plan();
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  if (typeof window !== "undefined" && typeof window.addEventListener === "function") {
    window.addEventListener("focus", now, { signal });
    window.addEventListener("online", now, { signal });
  }
  if (typeof document !== "undefined") document.addEventListener("visibilitychange", now, { signal });
}
