/** The questions that wait for a user, followed. */
import type { Approval, DecisionParams, Headwater } from "../index.js";
import { asError } from "./run-store.js";
import { Store, whileVisible } from "./store.js";

/** What is known of the questions. */
export interface ApprovalsState {
  approvals: readonly Approval[];
  loading: boolean;
  error: Error | null;
}

/** Looks for pending approvals while the page is visible. */
export class ApprovalsStore extends Store<ApprovalsState> {
  readonly #client: Headwater;
  readonly #pollMs: number;
  #look = 0;

  constructor(client: Headwater, pollMs: number) {
    super({ approvals: [], loading: true, error: null });
    this.#client = client;
    this.#pollMs = pollMs;
  }

  protected override start(signal: AbortSignal): void {
    whileVisible(() => void this.refresh(), this.#pollMs, signal);
    void this.refresh();
  }

  /** Looks now. */
  readonly refresh = async (): Promise<void> => {
    const { signal } = this;
    if (signal === null) return;
    const look = ++this.#look;
    try {
      const page = await this.#client.approvals.list({ status: "pending", limit: 100 }, { signal }).page();
      if (signal.aborted || look !== this.#look) return;
      this.set({ approvals: page.data, loading: false, error: null });
    } catch (error) {
      if (!signal.aborted && look === this.#look) this.set({ loading: false, error: asError(error) });
    }
  };

  /** Decides one of them. It leaves the list at once; if that fails, the list is looked at anew. */
  readonly decide = async (approval: Approval, decision: DecisionParams): Promise<Approval> => {
    this.set({ approvals: this.state.approvals.filter((other) => other.id !== approval.id) });
    try {
      return await this.#client.approvals.decide(approval.run, approval.id, decision);
    } finally {
      void this.refresh();
    }
  };
}
