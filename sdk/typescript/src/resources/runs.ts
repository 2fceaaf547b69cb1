/** Runs, and the streams of their events. */
import { readEvent } from "../event.js";
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { StreamOptions, StreamTuning } from "../stream/options.js";
import { RunStream } from "../stream/run-stream.js";
import type { EventPage, Run, RunExplanation, RunSnapshot, Schema, Ticket } from "../types.js";
import { Resource, type Verbs } from "./resource.js";

/** What an agent is asked, and how. */
export type RunParams = Schema<"RunParams">;

/** Waits for a run's end or suspension before it answers. */
export interface WaitOptions {
  /** At most so long, in ms: up to 25 000. */
  waitMs?: number;
}

/** Which runs. */
export interface RunListParams extends ListParams {
  /** One or several, comma-separated: `running,suspended`. */
  status?: string;
  agent?: string;
  thread?: string;
  schedule?: string;
  external_id?: string;
  user?: string;
  /** The run of another agent that made them. */
  parent?: string;
  /** Inclusive. */
  created_after?: string;
  /** Exclusive. */
  created_before?: string;
}

function waiting(options: WaitOptions | undefined) {
  return { query: { wait_ms: options?.waitMs }, extraMs: options?.waitMs };
}

function createAndStream(api: Verbs, path: string[], params: RunParams, options: PostOptions & StreamTuning) {
  const spec = { method: "POST", path, body: params, options, accept: "text/event-stream" } as const;
  return new RunStream(api.caller, { create: api.caller.prepare(spec) }, options);
}

/** Runs: executions of an agent on a thread. */
export class Runs extends Resource {
  /** Keys to one run's events that may stand in a URL. */
  readonly tickets: RunTickets;

  /** @internal */
  constructor(api: Verbs) {
    super(api);
    this.tickets = new RunTickets(api);
  }

  /** Runs an agent on a new thread. Answers as soon as the run is accepted, or with `waitMs` at its end. */
  create(params: RunParams, options?: PostOptions & WaitOptions): Promise<Run> {
    return this.api.post(["runs"], params, options, waiting(options));
  }

  /**
   * Runs an agent on a new thread and streams what happens. Nothing is sent before the stream is read. However often the connection breaks,
   * there is one run: all tries bear one `Idempotency-Key`.
   */
  createAndStream(params: RunParams, options: PostOptions & StreamTuning = {}): RunStream {
    return createAndStream(this.api, ["runs"], params, options);
  }

  /** Streams a run's events from a cursor on, resuming as often as it takes. Nothing is sent before the stream is read. */
  stream(run: string, options: StreamOptions = {}): RunStream {
    return new RunStream(this.api.caller, { run, after: options.after ?? 0 }, options);
  }

  /** A run with its messages, exactly as of `as_of_seq`. */
  get(run: string, options?: RequestOptions & WaitOptions): Promise<RunSnapshot> {
    return this.api.get(["runs", run], options, waiting(options));
  }

  /** Lists runs. */
  list(query?: RunListParams, options?: RequestOptions): Pages<Run> {
    return this.api.list(["runs"], query, options);
  }

  /** A page of a run's log: at most 1 000 events after a seq, 200 unless set. `stream` reads it live. */
  async events(
    run: string,
    query?: { after?: number | string; limit?: number },
    options?: RequestOptions,
  ): Promise<EventPage> {
    const page = await this.api.get<EventPage>(["runs", run, "events"], options, { query: { ...query } });
    return { ...page, data: page.data.map((event) => readEvent({ ...event })) };
  }

  /** Asks for a run's end. On a finished run: the run, unchanged. */
  cancel(run: string, params: Schema<"CancelParams"> = {}, options?: PostOptions): Promise<Run> {
    return this.api.post(["runs", run, "cancel"], params, options);
  }

  /** Lets a run go on that waits for money: with another model, with more for itself, or as it is. */
  resume(run: string, params: Schema<"ResumeParams"> = {}, options?: PostOptions): Promise<Run> {
    return this.api.post(["runs", run, "resume"], params, options);
  }

  /** Answers one call of the application's own tools. The same answer may be sent again; another one is `already_submitted`. */
  callResult(run: string, call: string, params: Schema<"CallResult">, options?: PostOptions): Promise<Run> {
    return this.api.post(["runs", run, "calls", call, "result"], params, options);
  }

  /** Answers several calls: all of them, or none. The run goes on when none is waited for any more. */
  toolOutputs(run: string, params: Schema<"ToolOutputs">, options?: PostOptions): Promise<Run> {
    return this.api.post(["runs", run, "tool_outputs"], params, options);
  }

  /** What a run waits for, and what it has cost. */
  explain(run: string, options?: RequestOptions): Promise<RunExplanation> {
    return this.api.get(["runs", run, "explain"], options);
  }
}

/** Tickets: for `EventSource`, which cannot send headers. One run, read only, first used within 60 s. */
export class RunTickets extends Resource {
  /** Makes a ticket; its `events_url` holds it. Stores nothing until it is used. */
  create(run: string, options?: PostOptions): Promise<Ticket> {
    return this.api.post(["runs", run, "tickets"], {}, options);
  }
}

/** Runs on a thread that is there. */
export class ThreadRuns extends Resource {
  /** Lists a thread's runs. */
  list(thread: string, query?: Omit<RunListParams, "thread">, options?: RequestOptions): Pages<Run> {
    return this.api.list(["threads", thread, "runs"], query, options);
  }

  /** Runs an agent on a thread. What happens while another run is under way, `on_conflict` says. */
  create(thread: string, params: RunParams, options?: PostOptions & WaitOptions): Promise<Run> {
    return this.api.post(["threads", thread, "runs"], params, options, waiting(options));
  }

  /** Runs an agent on a thread and streams what happens, as `runs.createAndStream` does. */
  createAndStream(thread: string, params: RunParams, options: PostOptions & StreamTuning = {}): RunStream {
    return createAndStream(this.api, ["threads", thread, "runs"], params, options);
  }
}
