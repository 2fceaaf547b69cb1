/** One thread, followed: its messages, and the run that is under way. */
import {
  type Content,
  type Headwater,
  type Message,
  type MessageView,
  type Run,
  type RunParams,
  type RunView,
  messageOf,
  viewsOfMessages,
} from "../index.js";
import { RunStore, asError } from "./run-store.js";
import { Store, whileVisible } from "./store.js";

/** How a thread is followed. */
export interface ThreadOptions {
  /** Whom `send` asks unless it says otherwise: an agent's id or name. */
  agent?: string | undefined;
  /** How many of the newest messages are shown: 1 to 100, 100 unless set. */
  limit?: number | undefined;
  /** Looks every so many ms, while the page is visible, whether somebody else has started a run: never unless set. Fixed at the beginning. */
  pollMs?: number | undefined;
  /** Told the thread that the first `send` of `useThread(null)` has made. */
  onThread?: ((thread: string) => void) | undefined;
}

/** What `send` takes beside the words: everything that a run does. */
export type SendOptions = Partial<Omit<RunParams, "input">> & { idempotencyKey?: string };

/** What is known of a thread. */
export interface ThreadState {
  thread: string | null;
  messages: readonly MessageView[];
  run: RunView | null;
  loading: boolean;
  sending: number;
  error: Error | null;
}

/** What was said here and is not listed yet. */
interface Sent {
  message: MessageView;
  /** The run that it began; `null` until it is accepted, and if it joined one that was under way. */
  run: string | null;
  /** What was listed when it was said: a message that is not among those may be this one. */
  known: ReadonlySet<string>;
}

/** Follows one thread while somebody looks. */
export class ThreadStore extends Store<ThreadState> {
  readonly #client: Headwater;
  #options: ThreadOptions;
  /** What the server last listed, oldest first. */
  #listed: readonly Message[] = [];
  #outbox: readonly Sent[] = [];
  #followed: { id: string; store: RunStore; leave: () => void } | null = null;
  /** The run that was followed last, as it ended. */
  #last: RunView | null = null;
  /** Why the last look failed. */
  #error: Error | null = null;
  /** Numbers the looks, so that a late answer does not undo a newer one. */
  #look = 0;

  constructor(client: Headwater, thread: string | null, options: ThreadOptions) {
    super({ thread, messages: [], run: null, loading: thread !== null, sending: 0, error: null });
    this.#client = client;
    this.#options = options;
  }

  /** The thread that is followed; of `useThread(null)`, once it is made. */
  get thread(): string | null {
    return this.state.thread;
  }

  /** Options that changed. They count from the next time they are looked at. */
  configure(options: ThreadOptions): void {
    this.#options = options;
  }

  protected override start(signal: AbortSignal): void {
    signal.addEventListener("abort", () => this.#unfollow(), { once: true });
    whileVisible(() => void this.refresh(), this.#options.pollMs ?? 0, signal);
    void this.refresh();
  }

  /** Looks at the thread: what was said, and whether a run is under way. */
  readonly refresh = async (): Promise<void> => {
    const { signal } = this;
    const { thread } = this.state;
    if (thread === null || signal === null) return;
    const look = ++this.#look;
    try {
      const [now, page] = await Promise.all([
        this.#client.threads.get(thread, { signal }),
        this.#client.messages
          .list(thread, { limit: this.#options.limit ?? 100, order: "desc" }, { signal })
          .page(),
      ]);
      if (signal.aborted || look !== this.#look) return;
      this.#listed = page.data.reverse();
      this.#outbox = this.#outbox.filter((sent) => !this.#isListed(sent));
      this.#follow(now.active_run ?? null);
      this.#error = null;
    } catch (error) {
      if (signal.aborted || look !== this.#look) return;
      this.#error = asError(error);
    }
    this.set({ loading: false });
    this.#draw();
  };

  /** Says something: a run on this thread, or on a new one. Rejects as `runs.create` does. */
  readonly send = async (input: Content, options: SendOptions = {}): Promise<Run> => {
    const { idempotencyKey, ...params } = options;
    const agent = params.agent ?? this.#options.agent;
    if (agent === undefined) throw new TypeError("name an agent, in useThread or in send");
    const known = new Set(this.#listed.map((message) => message.id));
    const local: Sent = { message: spoken(`local:${++counter}`, input), run: null, known };
    this.#outbox = [...this.#outbox, local];
    this.set({ sending: this.state.sending + 1 });
    this.#draw();
    try {
      const { thread } = this.state;
      const body = { ...params, agent, input } as RunParams;
      const run = await (thread === null
        ? this.#client.runs.create(body, { idempotencyKey })
        : this.#client.threadRuns.create(thread, body, { idempotencyKey }));
      // It is listed under this id, unless it joins a run that was under way: then nobody knows its id before that run's next step.
      const id = run.input_messages.at(-1);
      const taken = id === undefined || known.has(id) || this.#outbox.some((sent) => sent.message.id === id);
      const accepted = taken ? local : { ...local, message: { ...local.message, id }, run: run.id };
      this.#outbox = this.#outbox.map((sent) => (sent === local ? accepted : sent));
      if (this.state.thread === null) {
        this.set({ thread: run.thread });
        this.#options.onThread?.(run.thread);
      }
      if (this.#followed === null && this.signal !== null) this.#follow(run.id);
      else void this.refresh();
      return run;
    } catch (error) {
      this.#outbox = this.#outbox.filter((sent) => sent !== local);
      throw error;
    } finally {
      this.set({ sending: this.state.sending - 1 });
      this.#draw();
    }
  };

  #isListed({ message, known }: Sent): boolean {
    const words = JSON.stringify(message.parts);
    return this.#listed.some(
      (other) =>
        other.id === message.id ||
        (message.id.startsWith("local:") &&
          other.role === "user" &&
          !known.has(other.id) &&
          JSON.stringify(messageOf(other).parts) === words),
    );
  }

  /** Follows this run and no other. */
  #follow(id: string | null): void {
    if (this.#followed?.id === id) return;
    this.#unfollow();
    if (id === null) return;
    // Its end is listed by then, and the next one may have begun.
    const store = new RunStore(this.#client, id, () => void this.refresh());
    let inputs = 0;
    const leave = store.subscribe(() => {
      const { input_messages } = store.getSnapshot().view;
      // Somebody's words have joined the run: they are listed now.
      if (inputs > 0 && input_messages.length > inputs) void this.refresh();
      inputs = input_messages.length;
      this.#draw();
    });
    this.#followed = { id, store, leave };
  }

  #unfollow(): void {
    if (this.#followed === null) return;
    this.#last = this.#followed.store.getSnapshot().view;
    this.#followed.leave();
    this.#followed = null;
  }

  #draw(): void {
    const { id, store } = this.#followed ?? {};
    const run = store === undefined ? null : store.getSnapshot();
    const said = new Map(run?.view.messages.map((message) => [message.id, message]));
    const messages: MessageView[] = [];
    for (const message of viewsOfMessages(this.#listed)) {
      // What the run says is newer in its view; what it has taken back is not there any more.
      const newer = said.get(message.id);
      if (newer !== undefined) messages.push(newer);
      else if (run?.view.caught_up !== true || message.role === "user" || !this.#isOf(message.id, id)) {
        messages.push(message);
      }
      said.delete(message.id);
    }
    const waiting = this.#outbox.filter((sent) => !this.#isListed(sent));
    const first = waiting.filter((sent) => sent.run !== null && sent.run === id);
    const later = waiting.filter((sent) => !first.includes(sent));
    messages.push(
      ...first.map((sent) => sent.message),
      ...said.values(),
      ...later.map((sent) => sent.message),
    );
    this.set({ messages, run: run?.view ?? this.#last, error: run?.error ?? this.#error });
  }

  #isOf(message: string, run: string | undefined): boolean {
    return run !== undefined && this.#listed.some((other) => other.id === message && other.run === run);
  }
}

let counter = 0;

function spoken(id: string, input: Content): MessageView {
  const content = typeof input === "string" ? [{ type: "text" as const, text: input }] : input;
  // Parts in a request are parts of a message, but for bytes that are not kept as such.
  return messageOf({
    id,
    object: "message",
    thread: "",
    role: "user",
    status: "completed",
    content: content as Message["content"],
    metadata: {},
    created_at: "",
  });
}
