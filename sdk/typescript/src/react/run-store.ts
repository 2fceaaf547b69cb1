/** One run, followed: its stream, folded. */
import { type Headwater, HeadwaterError, type RunView, emptyRunView, foldRun, isOver } from "../index.js";
import { Store, whileVisible } from "./store.js";

/** What is known of a run. */
export interface RunState {
  view: RunView;
  /** Why it is not followed any more; `null` while it is, and after its end. */
  error: Error | null;
  /** Whether a stream is open or being opened. */
  following: boolean;
}

/** Follows one run while somebody looks. What ended by too many failures is tried again when the page comes back. */
export class RunStore extends Store<RunState> {
  readonly #client: Headwater;
  readonly #run: string | null;
  readonly #onEnd: (() => void) | undefined;

  constructor(client: Headwater, run: string | null, onEnd?: () => void) {
    super({ view: emptyRunView(run), error: null, following: run !== null });
    this.#client = client;
    this.#run = run;
    this.#onEnd = onEnd;
  }

  /** Tries again after an error. */
  readonly reconnect = (): void => {
    const { signal } = this;
    if (signal !== null && !this.state.following && !isOver(this.state.view)) void this.#follow(signal);
  };

  protected override start(signal: AbortSignal): void {
    if (this.#run === null || isOver(this.state.view)) return;
    void this.#follow(signal);
    whileVisible(this.reconnect, 0, signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.set({ following: true, error: null });
    try {
      const after = this.state.view.seq;
      for await (const item of this.#client.runs.stream(this.#run as string, { after, signal })) {
        const view = foldRun(this.state.view, item);
        if (view !== this.state.view) this.set({ view });
      }
      // 204: the end came before the cursor, which a view that has no end in it can only have from a snapshot.
      if (signal.aborted) return;
      this.set({ following: false });
      this.flush();
      this.#onEnd?.();
    } catch (error) {
      if (signal.aborted) return;
      this.set({ following: false, error: asError(error) });
      this.flush();
    }
  }
}

/** Whatever was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof HeadwaterError || thrown instanceof Error ? thrown : new Error(String(thrown));
}
