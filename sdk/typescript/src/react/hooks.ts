/**
 * React hooks over runs, threads and approvals.
 *
 * Correct under StrictMode, unmounting and changing ids; nothing is drawn more often than once a frame.
 */
import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from "react";
import {
  isOver,
  type Approval,
  type DecisionParams,
  type Headwater,
  type MessageView,
  type RunView,
} from "../index.js";
import { ApprovalsStore, type ApprovalsState } from "./approvals-store.js";
import { RunStore, type RunState } from "./run-store.js";
import { ThreadStore, type ThreadOptions, type ThreadState } from "./thread-store.js";

const Context = createContext<Headwater | null>(null);

/** Gives the client to all hooks below. Make the client once, outside of components or in a `useMemo`. */
export function HeadwaterProvider({ client, children }: { client: Headwater; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the `HeadwaterProvider` above. */
export function useHeadwater(): Headwater {
  const client = useContext(Context);
  if (client === null) throw new TypeError("there is no HeadwaterProvider above");
  return client;
}

/** What a person decides: a word, or a whole decision. */
export type DecideWith = DecisionParams["decision"] | DecisionParams;

function decisionOf(decision: DecideWith): DecisionParams {
  return typeof decision === "string" ? { decision } : decision;
}

/** What can be done with a run. All reject as the client's calls do. */
export interface RunActions {
  /** Asks for the run's end. */
  cancel(reason?: string): Promise<void>;
  /** Answers a question: `decide(approval.id, "approved")`. */
  decide(approval: string, decision: DecideWith): Promise<void>;
  /** Answers a call of the application's own tool; with `error`, says what went wrong in words for the model. */
  submit(call: string, output: unknown, error?: string): Promise<void>;
}

function useRunActions(run: string | null): RunActions {
  const client = useHeadwater();
  return useMemo(() => {
    const id = () => {
      if (run === null) throw new TypeError("there is no run");
      return run;
    };
    return {
      async cancel(reason?: string) {
        await client.runs.cancel(id(), reason === undefined ? {} : { reason });
      },
      async decide(approval: string, decision: DecideWith) {
        await client.approvals.decide(id(), approval, decisionOf(decision));
      },
      async submit(call: string, output: unknown, error?: string) {
        await client.runs.callResult(id(), call, error === undefined ? { output } : { error });
      },
    };
  }, [client, run]);
}

/** What `useRun` gives. */
export interface UseRun extends RunState, RunActions {
  /** Tries again after an error. (The page's coming back does that by itself.) */
  reconnect(): void;
}

/** One run, live: it resumes by itself, and ends with the run. `null`: no run, an empty view. */
export function useRun(run: string | null): UseRun {
  const client = useHeadwater();
  const store = useMemo(() => new RunStore(client, run), [client, run]);
  const state = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  const actions = useRunActions(run);
  return useMemo(() => ({ ...state, ...actions, reconnect: store.reconnect }), [state, actions, store]);
}

/** What `useThread` gives. */
export interface UseThread extends RunActions {
  /** The thread's id; of `useThread(null)`, once the first `send` has made it. */
  thread: string | null;
  /** What was said, oldest first: what the run under way says, too, and what is being sent. */
  messages: readonly MessageView[];
  /** The run under way, else the last one that was seen here; `null` if there was none. `cancel`, `decide` and `submit` are about it. */
  run: RunView | null;
  /** Whether something is being sent, or a run is under way. */
  busy: boolean;
  /** Whether the thread was not looked at yet. */
  loading: boolean;
  /** Why it could not be looked at or followed; `null` after the next look that could. */
  error: Error | null;
  /** Says something. What happens while a run is under way, `on_conflict` says. */
  send: ThreadStore["send"];
  /** Looks at the thread now. */
  refresh(): Promise<void>;
}

/**
 * A thread: its messages, and the run under way. It follows runs that others start, too, from the next time it looks: when the page comes back,
 * when a run ends, and every `pollMs`. `null`: a thread that the first `send` makes.
 */
export function useThread(thread: string | null, options: ThreadOptions = {}): UseThread {
  const client = useHeadwater();
  const [held, hold] = useState(() => ({ client, thread, store: new ThreadStore(client, thread, options) }));
  let { store } = held;
  if (held.client !== client || held.thread !== thread) {
    // The thread that this store has made is its own; any other is another store's.
    const same = held.client === client && thread !== null && store.thread === thread;
    if (!same) store = new ThreadStore(client, thread, options);
    hold({ client, thread, store });
  }
  useEffect(() => store.configure(options));
  const state: ThreadState = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  const actions = useRunActions(state.run?.run ?? null);
  return useMemo(() => {
    const { sending, ...rest } = state;
    const busy = sending > 0 || (state.run !== null && !isOver(state.run));
    return { ...rest, ...actions, busy, send: store.send, refresh: store.refresh };
  }, [state, actions, store]);
}

/** What `useApprovals` gives. */
export interface UseApprovals extends ApprovalsState {
  /** Decides one of them; it leaves the list at once. */
  decide(approval: Approval, decision: DecideWith): Promise<void>;
  /** Looks now. */
  refresh(): Promise<void>;
}

/** The user's questions that wait for a decision: looked for every `pollMs` (10 000) while the page is visible, never while it is hidden. */
export function useApprovals({ pollMs = 10_000 }: { pollMs?: number } = {}): UseApprovals {
  const client = useHeadwater();
  const store = useMemo(() => new ApprovalsStore(client, pollMs), [client, pollMs]);
  const state = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  const decide = useCallback(
    async (approval: Approval, decision: DecideWith) => {
      await store.decide(approval, decisionOf(decision));
    },
    [store],
  );
  return useMemo(() => ({ ...state, decide, refresh: store.refresh }), [state, decide, store]);
}
