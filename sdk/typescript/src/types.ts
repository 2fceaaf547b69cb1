/**
 * The API's words as types: those of docs/openapi.json under their own names, and the few that the document cannot say.
 *
 * Request and response bodies keep the API's snake_case names.
 */
import type { components } from "./generated/openapi.js";

type Schemas = components["schemas"];

/** Any schema of the API by its name: `Schema<"Artifact">`. */
export type Schema<Name extends keyof Schemas> = Schemas[Name];

/** An agent with its configuration. */
export type Agent = Schema<"Agent">;
/** A secret key of a tenant. */
export type ApiKey = Schema<"ApiKey">;
/** A question to a person, and its answer. */
export type Approval = Schema<"Approval">;
/** Something that a tool answered, or that a user has uploaded to show it to a model. What is in it is at `/v1/artifacts/{artifact}/content`. */
export type Artifact = Schema<"Artifact">;
/** A limit on money. A call must pass every budget that covers it. */
export type Budget = Schema<"Budget">;
/** What a request gives as content: a string is one text part. */
export type Content = Schema<"Content">;
/** What a person decides. */
export type Decision = Schema<"Decision">;
/** A page of a run's log. */
export type EventPage = Omit<Schema<"EventPage">, "data"> & { data: RunEvent[] };
/** One of several errors in a request body. */
export type FieldError = Schema<"FieldError">;
/** An identity provider of a tenant, whose tokens its users may come with. */
export type Issuer = Schema<"Issuer">;
/** An MCP server. */
export type McpServer = Schema<"McpServer">;
/** A tool as its server describes it. */
export type McpTool = Schema<"McpTool">;
/** Something that is remembered of a user. */
export type MemoryEntry = Schema<"MemoryEntry">;
/** A message of a thread. */
export type Message = Schema<"Message">;
/** A model that agents can use. */
export type Model = Schema<"Model">;
/** 10⁻⁹ USD, and the same as an exact decimal. Requests give exactly one of the two. */
export type Money = Schema<"Money">;
/** A piece of a message. */
export type Part = Schema<"Part">;
/** Something a suspended run waits for. */
export type Pending = Schema<"Pending">;
/** A plan. */
export type Plan = Schema<"Plan">;
/** Who is calling. */
export type Principal = Schema<"Principal">;
/** One execution of an agent on a thread. */
export type Run = Schema<"Run">;
/** What a run waits for and what was spent on it, from the records that also stop and bill it. */
export type RunExplanation = Schema<"RunExplanation">;
/** What a completed run came to. */
export type RunResult = Schema<"RunResult">;
/** A run with its messages, exactly as of `as_of_seq`. */
export type RunSnapshot = Schema<"RunSnapshot">;
/** Where a run stands. */
export type RunStatus = Schema<"RunStatus">;
/** A schedule. */
export type Schedule = Schema<"Schedule">;
/** A secret, without what is secret. */
export type Secret = Schema<"Secret">;
/** A tenant. */
export type Tenant = Schema<"Tenant">;
/** A line of messages between one user and agents. */
export type Thread = Schema<"Thread">;
/** A key to one run's events, for browsers' `EventSource`. */
export type Ticket = Schema<"Ticket">;
/** Tokens of one or several model calls. Input **includes** cached and cache-write tokens, output includes reasoning, whatever the provider's own habit. */
export type Usage = Schema<"Usage">;
/** One line of the ledger. */
export type UsageCall = Schema<"UsageCall">;
/** One line of `GET /v1/usage`. A dimension that is not grouped by is `null`. */
export type UsageGroup = Schema<"UsageGroup">;
/** A tenant's end user. */
export type User = Schema<"User">;
/** A token of a user, valid for minutes. */
export type UserToken = Schema<"UserToken">;
/** That one endpoint is told of one event. */
export type WebhookDelivery = Schema<"WebhookDelivery">;
/** Where a tenant's own server is told of what happens. */
export type WebhookEndpoint = Schema<"WebhookEndpoint">;

/** A stable name for what went wrong. Later releases have more of them. */
export type ErrorCode = Schema<"ErrorCode"> | (string & {});

/** The body of every error; also `error` in runs, calls and events. Some codes have members of their own. */
export type Problem = Schema<"Problem"> & { [member: string]: unknown };

/** Whose event it is and where it stands in the log. */
export interface EventEnvelope {
  /** Version of the envelope: 1. */
  v: number;
  /** Position in the run's log, dense from 1. */
  seq: number;
  /** When it was written. */
  ts: string;
  /** The run. */
  run: string;
}

type WithEnvelope<Body> = Body extends unknown ? EventEnvelope & Body : never;

/** An event of a type that this release knows, told apart by `type`. */
export type KnownEvent = WithEnvelope<Schema<"EventBody">>;

/** An event of a later release. */
export interface UnknownEvent extends EventEnvelope {
  type: "unknown";
  /** Its `type` as it was sent. */
  original_type: string;
  /** Its other fields. */
  fields: Record<string, unknown>;
}

/** An event of a run's log, told apart by `type`. */
export type RunEvent = KnownEvent | UnknownEvent;

/** One type of event: `EventOf<"message.delta">`. */
export type EventOf<Type extends RunEvent["type"]> = Extract<RunEvent, { type: Type }>;

/** A page of a list. */
export interface List<Item> {
  object: "list";
  data: Item[];
  has_more: boolean;
  /** Give it as `after` for the next page; `null` at the end. */
  next_cursor: string | null;
}
