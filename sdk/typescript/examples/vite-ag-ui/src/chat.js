import { HttpAgent } from "@ag-ui/client";
import { agentUrl, asUser, historyOf } from "./headwater.js";
import { tools } from "./tools.js";

const TRIES = 10;

/** A chat on a thread, whose name is of the page's choice. `changed` is called whenever there is something else to show. */
export class Chat {
  /** `ready`, `busy`, or `cut`: the line is, and the server will be asked again. */
  status = "busy";
  error = null;
  #agent;
  #changed;
  #decisions = new Map();

  constructor(threadId, changed) {
    this.#changed = changed;
    this.#agent = new HttpAgent({ url: agentUrl, threadId, fetch: asUser });
    this.#agent.subscribe({ onMessagesChanged: changed });
    // Who sends no messages says nothing, and is told what is being said on the thread.
    this.#agent.use((input, next) =>
      next.run(input.forwardedProps.reads ? { ...input, messages: [] } : input),
    );
  }

  get messages() {
    return this.#agent.messages;
  }

  /** What the user is asked and has not answered, each with the call that it is about, where that was told. */
  get questions() {
    const open = this.#agent.pendingInterrupts.filter(({ id }) => !this.#decisions.has(id));
    const calls = this.messages.flatMap((message) => message.toolCalls ?? []);
    return open.map((asked) => ({ ...asked, call: calls.find(({ id }) => id === asked.toolCallId) }));
  }

  /** Shows what was said, and reads on where an answer is under way: one that is being written, or waits for this page. */
  open() {
    return this.#doing(async () => {
      while (this.questions.length === 0) {
        const { messages, underWay } = await historyOf(this.#agent.threadId);
        this.#agent.setMessages(messages);
        if (!underWay) return;
        await this.#run({ forwardedProps: { reads: true } }).catch((error) => {
          // 422: it has ended meanwhile, and is history.
          if (error.status !== 422) throw error;
        });
      }
    });
  }

  say(content) {
    this.#agent.addMessage({ id: crypto.randomUUID(), role: "user", content });
    return this.#doing(() => this.#run());
  }

  /** Answers a question. The answer goes on when all that is asked is answered. */
  decide({ id }, approved) {
    this.#decisions.set(id, approved);
    if (this.questions.length > 0) return this.#changed();
    const decided = ([interruptId, approved]) => ({ interruptId, status: "resolved", payload: { approved } });
    const resume = [...this.#decisions].map(decided);
    return this.#doing(() => this.#run({ resume }).finally(() => this.#decisions.clear()));
  }

  async #doing(what) {
    this.#show("busy", null);
    try {
      await what();
      this.#show("ready");
    } catch (error) {
      this.#show("ready", error);
    }
  }

  #show(status, error = this.error) {
    this.status = status;
    this.error = error;
    this.#changed();
  }

  /** Asks, and gives what the page's tools come to, until there is an answer or a question. */
  async #run(parameters = {}) {
    const calls = await this.#ask(parameters);
    for (const call of calls) this.#agent.addMessage(await carriedOut(call));
    if (calls.length > 0 && this.questions.length === 0) await this.#run();
  }

  /**
   * One run in the sense of AG-UI, and the calls that are left to the page at its end.
   *
   * A line that is cut ends no run of Headwater's. The same `runId` again reads the answer that there is, from its beginning: what was
   * told of it before is taken back first.
   */
  async #ask(parameters) {
    const before = structuredClone(this.messages);
    const runId = crypto.randomUUID();
    for (let tries = 1; ; tries += 1) {
      const calls = [];
      let [end, failure] = [null, null];
      const subscriber = {
        onRunStartedEvent: () => this.#show("busy"),
        onToolCallEndEvent: ({ event, toolCallName: name, toolCallArgs: args }) =>
          void calls.push({ id: event.toolCallId, name, args }),
        onRunFinishedEvent: (told) => void (end = told),
        onRunErrorEvent: ({ event }) => {
          failure = new Error(event.message);
          this.#agent.pendingInterrupts = [];
        },
        onRunFailed: ({ error }) => {
          failure = error;
          return { stopPropagation: true };
        },
      };
      await this.#agent.runAgent({ ...parameters, runId }, subscriber);
      // Which calls are its own the client is told, but not beside a question. They are told when they are waited for, and not before.
      const isOwn = ({ id, name }) => Object.hasOwn(tools, name) || end.pendingToolCallIds?.includes(id);
      if (end !== null) return calls.filter(isOwn);
      // Where there is no line `fetch` throws a TypeError, or something on the way ends the answer as if that were all.
      const isCut = failure === null || failure instanceof TypeError || [429, 503].includes(failure.status);
      if (!isCut || tries === TRIES) throw failure ?? new Error("the answer breaks off");
      this.#show("cut");
      await new Promise((resolve) => setTimeout(resolve, Math.min(125 * 2 ** tries, 5_000)));
      this.#agent.setMessages(before);
    }
  }
}

/** The message that says what a call of the page's has come to. */
async function carriedOut({ id, name, args }) {
  const message = (output) => ({
    id: crypto.randomUUID(),
    role: "tool",
    toolCallId: id,
    content: JSON.stringify(output),
  });
  try {
    if (!Object.hasOwn(tools, name)) throw new Error("this page has no such tool");
    return message(await tools[name](args));
  } catch (error) {
    return message({ error: error.message });
  }
}
