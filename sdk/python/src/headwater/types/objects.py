"""The objects that the API answers with.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .._model import ApiObject
from .events import Event
from .words import (
    ActorKind,
    ApprovalKind,
    ApprovalStatus,
    BreakerState,
    BudgetMode,
    BudgetOwner,
    BudgetScopeType,
    BudgetStatus,
    BudgetWindow,
    Builtin,
    Decider,
    DeliveryStatus,
    Detail,
    Effect,
    ErrorCode,
    Fault,
    FindingLevel,
    FinishReason,
    IssuerAlgorithm,
    McpStatus,
    MessageStatus,
    Method,
    OnBudget,
    OnConflict,
    OnDisconnect,
    OnExpiry,
    OnMissed,
    Op,
    OverrideField,
    Policy,
    Priority,
    QuietState,
    ReasoningEffort,
    Remember,
    Role,
    RunStatus,
    TenantStatus,
    ThreadStatus,
    ToolChoice,
    Truncation,
    UserStatus,
    WebhookEventType,
    WebhookStatus,
)


class Actor(ApiObject):
    """Who did something."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"id", "reason"}

    id: str | None
    """`usr_…` or `key_…`, `null` where there is none."""
    reason: str | None
    """Why the system acted: `expired`, `on_conflict`, `on_disconnect`, `deleted`."""
    type: ActorKind
    """What kind of actor."""


class AgentConfig(ApiObject):
    """What an agent is, flat on the agent and on each of its versions. All but `model` optional."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "approvals": "ApprovalSettings", "fallbacks":
        "[]Fallback", "limits": "Limits", "response_format": "ResponseFormat", "run_budget": "RunBudget", "stop": "[]",
        "timeouts": "Timeouts", "tools": "[]Tool", "user_overrides": "[]", "user_visibility": "Visibility"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"model"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"approvals", "description", "disconnect_grace_ms",
        "fallbacks", "instructions", "limits", "max_output_tokens", "on_budget", "on_conflict", "on_disconnect",
        "parallel_tool_calls", "priority", "prompt_caching", "reasoning_effort", "response_format", "run_budget",
        "seed", "stop", "temperature", "timeouts", "tool_choice", "tools", "top_p", "truncation", "user_overrides",
        "user_visibility"}

    approvals: ApprovalSettings | None
    """Who may approve."""
    description: str | None
    """For people; at most 1024 characters."""
    disconnect_grace_ms: int | None
    """For `grace`: 0 to 3 600 000."""
    fallbacks: tuple[Fallback, ...] | None
    """Other models, in order; at most 8."""
    instructions: str | None
    """The system prompt; at most 64 KiB."""
    limits: Limits | None
    """Bounds of each run."""
    max_output_tokens: int | None
    """1 to 1 000 000."""
    model: str
    """`PROVIDER/model-id`."""
    on_budget: OnBudget | None
    """What happens to a run whose budget is used up."""
    on_conflict: OnConflict | None
    """What a new run does on a busy thread."""
    on_disconnect: OnDisconnect | None
    """What happens when the last reader has gone."""
    parallel_tool_calls: bool | None
    """Whether it may call several at once."""
    priority: Priority | None
    """Which runs go first."""
    prompt_caching: bool | None
    """Whether the provider may cache the prompt."""
    reasoning_effort: ReasoningEffort | None
    """`null` = the provider's default."""
    response_format: ResponseFormat | None
    """What the answer has to look like."""
    run_budget: RunBudget | None
    """Hard limit of each run, those of agents that it calls included."""
    seed: int | None
    """For providers that take one."""
    stop: tuple[str, ...] | None
    """At most 4."""
    temperature: float | None
    """0 to 2; `null` = the provider's default."""
    timeouts: Timeouts | None
    """Bounds of each model call."""
    tool_choice: ToolChoice | None
    """Whether the model calls tools."""
    tools: tuple[Tool, ...] | None
    """What it can call; at most 128."""
    top_p: float | None
    """Above 0, to 1."""
    truncation: Truncation | None
    """What happens when the thread does not fit."""
    user_overrides: tuple[OverrideField, ...] | None
    """What user tokens may set on a run."""
    user_visibility: Visibility | None
    """What end users see."""


class ApiKey(ApiObject):
    """A key of a tenant."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "scopes": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "hint", "id", "name", "object", "scopes",
        "tenant"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"expires_at", "last_used_at", "revoked_at", "secret"}

    created_at: str
    """When it was made."""
    expires_at: str | None
    """When it stops working."""
    hint: str
    """The first and last characters, to tell keys apart."""
    id: str
    """Its id."""
    last_used_at: str | None
    """Right to the hour."""
    name: str
    """What it is for."""
    object: str
    """Always `api_key`."""
    revoked_at: str | None
    """When it was revoked."""
    scopes: tuple[str, ...]
    """What it may do."""
    secret: str | None
    """`hw_sk_…`, in the first answer only."""
    tenant: str
    """The tenant it acts for."""


class Approval(ApiObject):
    """A question to a person, and its answer."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "by": "Actor", "deciders": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"args_hash", "call", "created_at", "deciders",
        "expires_at", "id", "kind", "message", "name", "object", "run", "schema", "status", "thread", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"args", "by", "comment", "decided_at", "edited_args",
        "remember"}

    args: Any
    """What it would be called with; `null` for users who may not see it."""
    args_hash: str
    """`sha256:` and the digest of the arguments that are carried out, in canonical JSON; empty for users who may not see
    arguments."""
    by: Actor | None
    """Who decided."""
    call: str
    """The call concerned."""
    comment: str | None
    """What the one who decided said."""
    created_at: str
    """When it was asked."""
    decided_at: str | None
    """When it was decided."""
    deciders: tuple[Decider, ...]
    """Who may decide."""
    edited_args: Any
    """What it is called with instead."""
    expires_at: str
    """Until when it can be decided."""
    id: str
    """Its id."""
    kind: ApprovalKind
    """What is asked."""
    message: str
    """The question in words."""
    name: str
    """The tool."""
    object: str
    """Always `approval`."""
    remember: Remember | None
    """For what the decision holds; `null` until there is one."""
    run: str
    """The run that waits."""
    schema: Any
    """JSON Schema that edited arguments have to satisfy; empty for users who may not see arguments."""
    status: ApprovalStatus
    """Where it stands."""
    thread: str
    """Its thread."""
    user: str
    """Its user."""


class ApprovalSettings(ApiObject):
    """Who may approve, how long, and what silence means."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "deciders": "[]"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"deciders", "on_expiry", "ttl_ms"}

    deciders: tuple[Decider, ...] | None
    """`user`, `tenant` or both. With none, an agent whose tools may ask somebody cannot be run."""
    on_expiry: OnExpiry | None
    """What happens when nobody decided."""
    ttl_ms: int | None
    """1 000 to 2 592 000 000 (30 days)."""


class Artifact(ApiObject):
    """Something that a tool answered, or that a user has uploaded to show it to a model. What is in it is at `/v1/artifacts/{artifact}/content`."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "id", "media_type", "object", "sha256",
        "size_bytes", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"call", "filename", "run"}

    call: str | None
    """The call that made it."""
    created_at: str
    """When it was made."""
    filename: str | None
    """What to call it."""
    id: str
    """Its id."""
    media_type: str
    """What it is, as its maker says."""
    object: str
    """Always `artifact`."""
    run: str | None
    """The run that made it; `null` for an upload."""
    sha256: str
    """SHA-256 of the content, in hexadecimal digits."""
    size_bytes: int
    """How large it is."""
    user: str
    """The user it belongs to."""


class Budget(ApiObject):
    """A limit on money. A call must pass every budget that covers it."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "limit": "Money", "remaining": "Money", "reserved":
        "Money", "scope": "BudgetScope", "spent": "Money"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "id", "limit", "mode", "object",
        "of_plan", "owner", "scope", "strict", "updated_at", "warn_at_percent", "window"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"remaining", "reserved", "resets_at", "spent",
        "status", "user"}

    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    limit: Money
    """How much may be spent in each window."""
    mode: BudgetMode
    """What happens when it is used up."""
    object: str
    """Always `budget`."""
    of_plan: bool
    """Whether it comes with the tenant's plan, and is changed there."""
    owner: BudgetOwner
    """Who may change it."""
    remaining: Money | None
    """The limit without what was spent. Below zero where calls cost more than could be known: a debt is kept."""
    reserved: Money | None
    """What is set aside for calls that are under way."""
    resets_at: str | None
    """When the next window begins."""
    scope: BudgetScope
    """Whose calls it covers."""
    spent: Money | None
    """What was spent in this window. `null` for `each_user`, unless `?user=` asks for one."""
    status: BudgetStatus | None
    """How much is left."""
    strict: bool
    """Whether a call is taken to cost what its bytes could cost at most, where the model's vocabulary is not public."""
    updated_at: str
    """When it was changed last."""
    user: str | None
    """Whose counter the amounts are, where every user has one."""
    warn_at_percent: int
    """From which part of the limit on runs are told, in percent."""
    window: BudgetWindow
    """What the limit is for."""


class BudgetParams(ApiObject):
    """What a new budget is made of."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "limit": "Money", "scope": "BudgetScope"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"limit", "scope"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"mode", "strict", "warn_at_percent", "window"}

    limit: Money
    """How much may be spent in each window."""
    mode: BudgetMode | None
    """What happens when it is used up: `hard` if not given."""
    scope: BudgetScope
    """Whose calls it covers."""
    strict: bool | None
    """Whether a call is taken to cost what its bytes could cost at most."""
    warn_at_percent: int | None
    """From which part of the limit on runs are told: 1 to 100, 80 if not given."""
    window: BudgetWindow | None
    """What the limit is for: `month` if not given."""


class BudgetScope(ApiObject):
    """Whose calls a budget covers."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"id"}

    id: str | None
    """The user (`usr_…`) or agent (`agt_…`); `null` for `tenant` and `each_user`."""
    type: BudgetScopeType
    """The kind."""


class BusyWith(ApiObject):
    """Something that keeps a process awake, and how much of it there is."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"count", "what"}

    count: int
    """How many."""
    what: str
    """`runs`, `streams`, `database`."""


class Condition(ApiObject):
    """What the arguments have to be like for a rule to match."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"op", "path"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"value"}

    op: Op
    """How it is compared."""
    path: str
    """JSON pointer into the arguments, such as `/amount`."""
    value: Any
    """With what; absent for `exists` and `absent`."""


class Doctor(ApiObject):
    """What the doctor has found, as far as a running server can look; `headwater doctor` looks at settings and providers too."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "findings": "[]Finding"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"checked_at", "findings", "object"}

    checked_at: str
    """When."""
    findings: tuple[Finding, ...]
    """What was seen, in the order in which it was looked at."""
    object: str
    """Always `doctor`."""


class EventPage(ApiObject):
    """A page of a run's log."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "data": "[]Event"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"compacted", "data", "earliest", "has_more", "object",
        "status", "tail"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"next_cursor"}

    compacted: bool
    """Whether deltas have been dropped."""
    data: tuple[Event, ...]
    """The events, in order."""
    earliest: int
    """The first seq from which nothing is missing."""
    has_more: bool
    """Whether more are there already."""
    next_cursor: str | None
    """The last event of this page; give it as `after`."""
    object: str
    """Always `list`."""
    status: RunStatus
    """Where the run stands."""
    tail: int
    """The last event of the log."""


class ExplainedCall(ApiObject):
    """A model call of a run, as the ledger has it."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "cost": "Money", "error": "Problem", "expected":
        "Money", "reserve": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"attempt", "duration_ms", "estimated", "model",
        "model_call", "outcome", "queued_ms", "step", "usage"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"cost", "error", "expected", "first_token_ms",
        "reserve"}

    attempt: int
    """Counts the attempts of the call from 1."""
    cost: Money | None
    """What it did cost; `null` when the model has no price."""
    duration_ms: int
    """From sending to the end."""
    error: Problem | None
    """What went wrong, of a call that failed."""
    estimated: bool
    """Whether the usage was proven only in part."""
    expected: Money | None
    """What it was expected to cost."""
    first_token_ms: int | None
    """From sending to the first delta; `null` without one."""
    model: str
    """The model that answered."""
    model_call: str
    """The call."""
    outcome: str
    """`completed`, `failed`, `cancelled`, or `reset` when its process was lost and the step was done again."""
    queued_ms: int
    """How long it waited for its turn."""
    reserve: Money | None
    """The most that it could cost: what was set aside, where a budget covers it."""
    step: int
    """Its step."""
    usage: Usage
    """Its tokens."""


class Fallback(ApiObject):
    """Another model, for when the first one's provider fails before the first delta."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"model"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"max_output_tokens"}

    max_output_tokens: int | None
    """A limit of its own."""
    model: str
    """`PROVIDER/model-id`."""


class FieldError(ApiObject):
    """One of several errors in a request body."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"code", "detail", "param"}

    code: ErrorCode
    """`invalid_value` or `unknown_field`, mostly."""
    detail: str
    """What is wrong, for a person."""
    param: str
    """A JSON pointer into the body, or `header:NAME`, or `query:NAME`."""


class Finding(ApiObject):
    """Something that was looked at."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"level", "what", "words"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"advice"}

    advice: str | None
    """What to do about it."""
    level: FindingLevel
    """How much it matters."""
    what: str
    """What was looked at: `wall`, `schema`, `money`, …"""
    words: str
    """What was seen."""


class HttpRequest(ApiObject):
    """What is sent to an endpoint. `{{args.NAME}}`, `{{secret.NAME}}`, `{{user.id}}`, `{{user.external_id}}`, `{{run.id}}`,
    `{{thread.id}}` and `{{call.id}}` are filled in, each escaped for its place; scheme, host and port hold none of them, and a
    secret stands in headers, query and body alone."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"method", "url"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"body", "headers", "query"}

    body: Any
    """JSON; a string that is one template and nothing else becomes the value itself. `null` = no body."""
    headers: dict[str, str] | None
    """At most 32."""
    method: Method
    """How."""
    query: dict[str, str] | None
    """At most 32. One whose only template has no value is left out."""
    url: str
    """Where; at most 2048 bytes."""


class InputPart(ApiObject):
    """A part in a request.
    One of a later release is a plain `InputPart`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class TextInputPart(InputPart):
    """Words."""

    _tag: ClassVar[str | None] = "text"
    _required: ClassVar[frozenset[str]] = InputPart._required | {"text"}

    text: str
    """At most 256 KiB."""


class ImageInputPart(InputPart):
    """A picture: PNG, JPEG, GIF or WebP."""

    _tag: ClassVar[str | None] = "image"
    _nested: ClassVar[Mapping[str, str]] = {**InputPart._nested, "source": "InputSource"}
    _required: ClassVar[frozenset[str]] = InputPart._required | {"detail", "source"}

    detail: Detail
    """How closely the model looks at it."""
    source: InputSource
    """Where it is."""


class FileInputPart(InputPart):
    """A file: text of any kind, or a PDF."""

    _tag: ClassVar[str | None] = "file"
    _nested: ClassVar[Mapping[str, str]] = {**InputPart._nested, "source": "InputSource"}
    _required: ClassVar[frozenset[str]] = InputPart._required | {"source"}
    _optional: ClassVar[frozenset[str]] = InputPart._optional | {"filename"}

    filename: str | None
    """What to call it: at most 255 characters, without `/`. `null` = as the artifact is called."""
    source: InputSource
    """Where it is."""


class InputSource(ApiObject):
    """Where a picture or a file in a request is. All of them together are at most 8 MiB.
    One of a later release is a plain `InputSource`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class UrlInputSource(InputSource):
    """Behind a public URL: it is fetched when the request is taken, once."""

    _tag: ClassVar[str | None] = "url"
    _required: ClassVar[frozenset[str]] = InputSource._required | {"url"}

    url: str
    """`https` or `http`; at most 2048 bytes."""


class Base64InputSource(InputSource):
    """In the request."""

    _tag: ClassVar[str | None] = "base64"
    _required: ClassVar[frozenset[str]] = InputSource._required | {"data", "media_type"}

    data: str
    """At most 512 KiB once decoded; what is larger is uploaded (`POST /v1/artifacts`)."""
    media_type: str
    """What it is."""


class ArtifactInputSource(InputSource):
    """An upload, or what a tool has answered."""

    _tag: ClassVar[str | None] = "artifact"
    _required: ClassVar[frozenset[str]] = InputSource._required | {"artifact"}

    artifact: str
    """Its id."""


class Issuer(ApiObject):
    """An identity provider of a tenant, whose tokens its users may come with."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "algorithms": "[]", "scopes": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"algorithms", "audience", "created_at", "id", "issuer",
        "object", "scopes", "updated_at", "user_claim"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"jwks_uri"}

    algorithms: tuple[IssuerAlgorithm, ...]
    """How tokens may be signed."""
    audience: str
    """What tokens have as `aud`, or among it."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    issuer: str
    """What tokens have as `iss`."""
    jwks_uri: str | None
    """Where its keys are; `null`: where `{issuer}/.well-known/openid-configuration` says."""
    object: str
    """Always `issuer`."""
    scopes: tuple[str, ...]
    """What its users may do."""
    updated_at: str
    """When it was last changed."""
    user_claim: str
    """The claim that is the user's `external_id`."""


class Limiter(ApiObject):
    """What goes on at the providers, as this process sees it."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "keys": "[]LimiterKey"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"keys", "object", "replica"}

    keys: tuple[LimiterKey, ...]
    """Limits in use, those with most waiting first; at most 100."""
    object: str
    """Always `limiter`."""
    replica: str
    """The process."""


class LimiterKey(ApiObject):
    """Calls that share one limit: of models of one entry of the price table, with one key."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "tenants": "[]LimiterTenant"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"breaker", "in_flight", "key", "model", "paused_ms",
        "tenants", "waiting"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"limit", "open_until"}

    breaker: BreakerState
    """Whether it is asked at all."""
    in_flight: int
    """Calls that have their place."""
    key: str
    """`platform`, or the tenant whose own key it is."""
    limit: int | None
    """Calls that are let through at a time now; `null`: any number."""
    model: str
    """`PROVIDER/model-id`; `PROVIDER/*` for models of which nothing is known."""
    open_until: str | None
    """Until when it is not."""
    paused_ms: int
    """For how long nobody is let through, because the provider asked for it."""
    tenants: tuple[LimiterTenant, ...]
    """Who waits, those with most first; at most 100."""
    waiting: int
    """Calls that wait for one."""


class LimiterTenant(ApiObject):
    """Who waits for a provider."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"tenant", "waiting", "weight"}

    tenant: str
    """The tenant."""
    waiting: int
    """Calls that wait."""
    weight: int
    """Its share beside others', by its plan."""


class Limits(ApiObject):
    """Bounds of a run."""

    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"max_attempts", "max_duration_ms", "max_input_tokens",
        "max_parallel_tool_calls", "max_queue_ms", "max_steps", "max_tool_calls", "max_tool_result_bytes"}

    max_attempts: int | None
    """1 to 20."""
    max_duration_ms: int | None
    """1 000 to 86 400 000: active time, not suspension."""
    max_input_tokens: int | None
    """What the context may hold; `null` = what the model's window leaves."""
    max_parallel_tool_calls: int | None
    """1 to 64."""
    max_queue_ms: int | None
    """0 to 600 000: the longest wait for a model permit."""
    max_steps: int | None
    """1 to 256. The last permitted step is sent without tools."""
    max_tool_calls: int | None
    """0 to 4096."""
    max_tool_result_bytes: int | None
    """1 024 to 262 144."""


class McpAuth(ApiObject):
    """How a server is called. `secret` names an entry of `/v1/secrets`.
    One of a later release is a plain `McpAuth`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class NoneMcpAuth(McpAuth):
    """Without credentials."""

    _tag: ClassVar[str | None] = "none"


class BearerMcpAuth(McpAuth):
    """`Authorization: Bearer …`."""

    _tag: ClassVar[str | None] = "bearer"
    _required: ClassVar[frozenset[str]] = McpAuth._required | {"secret"}

    secret: str
    """The token."""


class HeaderMcpAuth(McpAuth):
    """A header."""

    _tag: ClassVar[str | None] = "header"
    _required: ClassVar[frozenset[str]] = McpAuth._required | {"name", "secret"}

    name: str
    """Its name."""
    secret: str
    """Its value."""


class OauthClientCredentialsMcpAuth(McpAuth):
    """A token of an OAuth 2 server, for this client."""

    _tag: ClassVar[str | None] = "oauth_client_credentials"
    _required: ClassVar[frozenset[str]] = McpAuth._required | {"client_id", "secret", "token_url"}
    _optional: ClassVar[frozenset[str]] = McpAuth._optional | {"scope"}

    client_id: str
    """Who asks."""
    scope: str | None
    """What for."""
    secret: str
    """The client's secret."""
    token_url: str
    """Where tokens are given out."""


class McpOverride(ApiObject):
    """What is different about one tool of an MCP server. What is absent or `null` is as for all of them."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "policy_rules": "[]PolicyRule"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"defaults", "effect", "policy", "policy_rules",
        "rename", "timeout_ms"}

    defaults: dict[str, Any] | None
    """Arguments that are always these: the model neither sees nor sets them."""
    effect: Effect | None
    """What a second call would do."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What its arguments change about that."""
    rename: str | None
    """What the model calls it: `[a-zA-Z0-9_-]{1,64}`."""
    timeout_ms: int | None
    """For the whole call."""


class McpServer(ApiObject):
    """An MCP server."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "auth": "McpAuth", "error": "Problem"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"auth", "created_at", "id", "name", "object", "status",
        "updated_at", "url"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"error", "protocol_version", "tools_fetched_at"}

    auth: McpAuth
    """How it is called."""
    created_at: str
    """When it was made."""
    error: Problem | None
    """What went wrong then."""
    id: str
    """Its id."""
    name: str
    """Unique in the tenant."""
    object: str
    """Always `mcp_server`."""
    protocol_version: str | None
    """The revision of the protocol that was agreed on."""
    status: McpStatus
    """How it answered last."""
    tools_fetched_at: str | None
    """When its tools were last listed."""
    updated_at: str
    """When it was last changed."""
    url: str
    """Its endpoint."""


class McpTool(ApiObject):
    """A tool as its server describes it."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"annotations", "name", "parameters",
        "suggested_effect"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"description"}

    annotations: Any
    """What the server says of its effects: hints."""
    description: str | None
    """What it is for."""
    name: str
    """What the server calls it."""
    parameters: Any
    """JSON Schema of its arguments."""
    suggested_effect: Effect
    """What they amount to. What counts is what the agent says."""


class MemoryEntry(ApiObject):
    """Something that is remembered of a user."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"key", "object", "updated_at", "value"}

    key: str
    """Under what."""
    object: str
    """Always `memory`."""
    updated_at: str
    """When it was last changed."""
    value: Any
    """What: any JSON of at most 16 KiB."""


class Message(ApiObject):
    """A message of a thread."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "content": "[]Part"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"content", "created_at", "id", "metadata", "object",
        "role", "status", "thread"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"agent", "completed_at", "run", "step"}

    agent: str | None
    """The agent that made it."""
    completed_at: str | None
    """When it was whole."""
    content: tuple[Part, ...]
    """Its parts."""
    created_at: str
    """When it was begun."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """The tenant's own pairs."""
    object: str
    """Always `message`."""
    role: Role
    """Who speaks."""
    run: str | None
    """The run that made it; `null` when imported."""
    status: MessageStatus
    """How far it is."""
    step: int | None
    """The step of the run that made it."""
    thread: str
    """The thread it belongs to."""


class Model(ApiObject):
    """A model that agents can use."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "input_modalities": "[]", "price": "ModelPrice"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"id", "input_modalities", "key", "object", "provider"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"context_window", "max_output_tokens", "price"}

    context_window: int | None
    """Tokens that fit, if known."""
    id: str
    """`PROVIDER/model-id`."""
    input_modalities: tuple[str, ...]
    """`text`, `image`."""
    key: str
    """Whose key is used: `platform` or `tenant`."""
    max_output_tokens: int | None
    """Tokens it can answer, if known."""
    object: str
    """Always `model`."""
    price: ModelPrice | None
    """What it costs; `null` when unknown."""
    provider: str
    """The provider's name in the configuration."""


class ModelPrice(ApiObject):
    """Prices per token, in pico-dollars (10⁻¹² USD)."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"input_pico_usd", "output_pico_usd"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"cache_write_pico_usd", "cached_input_pico_usd"}

    cache_write_pico_usd: int | None
    """A token written to the provider's cache; `null` = as `input`."""
    cached_input_pico_usd: int | None
    """A token read from the provider's cache; `null` = as `input`."""
    input_pico_usd: int
    """A token that goes in."""
    output_pico_usd: int
    """A token that comes out."""


class Money(ApiObject):
    """10⁻⁹ USD, and the same as an exact decimal. Requests give exactly one of the two."""

    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"nano_usd", "usd"}

    nano_usd: int | None
    usd: str | None


class Part(ApiObject):
    """A piece of a message.
    One of a later release is a plain `Part`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class TextPart(Part):
    """Words."""

    _tag: ClassVar[str | None] = "text"
    _required: ClassVar[frozenset[str]] = Part._required | {"text"}

    text: str
    """At most 256 KiB."""


class ImagePart(Part):
    """A picture."""

    _tag: ClassVar[str | None] = "image"
    _nested: ClassVar[Mapping[str, str]] = {**Part._nested, "source": "Source"}
    _required: ClassVar[frozenset[str]] = Part._required | {"source"}
    _optional: ClassVar[frozenset[str]] = Part._optional | {"detail"}

    detail: Detail | None
    """How closely the model looks at it."""
    source: Source
    """Where it is."""


class FilePart(Part):
    """A file."""

    _tag: ClassVar[str | None] = "file"
    _nested: ClassVar[Mapping[str, str]] = {**Part._nested, "source": "Source"}
    _required: ClassVar[frozenset[str]] = Part._required | {"source"}
    _optional: ClassVar[frozenset[str]] = Part._optional | {"filename"}

    filename: str | None
    """What to call it."""
    source: Source
    """Where it is."""


class ReasoningPart(Part):
    """What the provider shows of its model's reasoning."""

    _tag: ClassVar[str | None] = "reasoning"
    _required: ClassVar[frozenset[str]] = Part._required | {"text"}

    text: str
    """The text."""


class ToolCallPart(Part):
    """The model wants a tool to be called."""

    _tag: ClassVar[str | None] = "tool_call"
    _required: ClassVar[frozenset[str]] = Part._required | {"call", "name"}
    _optional: ClassVar[frozenset[str]] = Part._optional | {"args"}

    args: Any
    """Parsed arguments; `null` where the reader may not see them."""
    call: str
    """The call."""
    name: str
    """The tool."""


class ToolResultPart(Part):
    """What a tool answered."""

    _tag: ClassVar[str | None] = "tool_result"
    _nested: ClassVar[Mapping[str, str]] = {**Part._nested, "error": "Problem"}
    _required: ClassVar[frozenset[str]] = Part._required | {"call", "name", "status"}
    _optional: ClassVar[frozenset[str]] = Part._optional | {"artifact", "comment", "error", "output"}

    artifact: str | None
    """Id of the whole when `output` is an excerpt."""
    call: str
    """The call it answers."""
    comment: str | None
    """Of a call that a person has denied: why, if that was said."""
    error: Problem | None
    """Set when it failed."""
    name: str
    """The tool."""
    output: Any
    """Any JSON."""
    status: str
    """`completed`, `failed` or `denied`."""


class Pending(ApiObject):
    """Something a suspended run waits for."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"approval", "budget", "call", "run"}

    approval: str | None
    """The approval, if that is what is waited for."""
    budget: str | None
    """The budget, if that is what is waited for; `null` with `run` if it is that run's own."""
    call: str | None
    """The tool call concerned."""
    run: str | None
    """The run of another agent, if its end is what is waited for."""
    type: str
    """`approval`, `input`, `sub_run` or `budget`."""


class PlanTerms(ApiObject):
    """What a plan grants. `null` is the server's own setting."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "allowed_models": "[]", "budgets": "[]BudgetParams"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"allowed_models", "budgets", "max_active_runs",
        "max_open_streams", "max_queued_runs", "max_suspended_runs", "requests_per_minute", "retention_ms", "weight"}

    allowed_models: tuple[str, ...] | None
    """Models that may be called: `PROVIDER/model-id`, or `PROVIDER/*`. `null`: all."""
    budgets: tuple[BudgetParams, ...] | None
    """Budgets that every tenant of the plan has: of the whole tenant, or of each of its users."""
    max_active_runs: int | None
    """Runs under way."""
    max_open_streams: int | None
    """Open streams."""
    max_queued_runs: int | None
    """Runs that wait for a place."""
    max_suspended_runs: int | None
    """Runs that are suspended, for whatever they wait: with so many no new one is accepted."""
    requests_per_minute: int | None
    """Requests per minute, of all keys and users together."""
    retention_ms: int | None
    """The longest that a run's deltas are kept after its end, whatever the tenant has set."""
    weight: int | None
    """A tenant's share where tenants wait for the same model, beside others' weights: 1 to 1000, 1 if not given."""


class PolicyRule(ApiObject):
    """A rule: the first one of a tool that matches says what is done."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "when": "[]Condition"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"then", "when"}

    then: Policy
    """Then this is done."""
    when: tuple[Condition, ...]
    """All must hold; none at all always do."""


class Principal(ApiObject):
    """Who is calling."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "scopes": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"kind", "object", "scopes", "tenant"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"expires_at", "key", "user"}

    expires_at: str | None
    """When the credential stops working."""
    key: str | None
    """The key used, if one was."""
    kind: str
    """`tenant` (a key alone) or `user`."""
    object: str
    """Always `principal`."""
    scopes: tuple[str, ...]
    """What it may do."""
    tenant: str
    """The tenant."""
    user: str | None
    """The user acted for."""


class Problem(ApiObject):
    """The body of every error: `application/problem+json`, and `error` in runs, tool results and events."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "errors": "[]FieldError"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"code", "errors", "fault", "retryable", "status",
        "title", "type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"detail", "request_id"}

    code: ErrorCode
    """The stable name."""
    detail: str | None
    """What happened here. `null` for readers who may not see a provider's or server's own words."""
    errors: tuple[FieldError, ...]
    """Each field that is wrong; empty where there is no list."""
    fault: Fault
    """Who has to act."""
    request_id: str | None
    """The request this answers; `null` inside runs."""
    retryable: bool
    """Whether the same request may succeed later, unchanged."""
    status: int
    """HTTP status."""
    title: str
    """The code in words."""
    type: str
    """Where the code is explained."""


class ProviderKey(ApiObject):
    """A tenant's own key at a model provider: used instead of the platform's. Its value is never shown."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"object", "provider", "updated_at"}

    object: str
    """Always `provider_key`."""
    provider: str
    """The provider, as it stands in `PROVIDER/model-id`."""
    updated_at: str
    """When it was set last."""


class QuietStatus(ApiObject):
    """Whether a process is quiet, and why not. Asking does not wake it, but an answer is a packet."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "busy": "[]BusyWith"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"busy", "enabled", "idle_ms", "object",
        "quiet_after_ms", "replica", "state", "wakes"}

    busy: tuple[BusyWith, ...]
    """What is under way."""
    enabled: bool
    """Whether it goes quiet at all."""
    idle_ms: int
    """How long the database was not needed."""
    object: str
    """Always `quiet`."""
    quiet_after_ms: int
    """After so long it goes quiet, if nothing is under way or due."""
    replica: str
    """The process."""
    state: QuietState
    """Whether it is."""
    wakes: int
    """How often it has woken."""


class ResponseFormat(ApiObject):
    """What the answer has to look like.
    One of a later release is a plain `ResponseFormat`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class TextResponseFormat(ResponseFormat):
    """Words."""

    _tag: ClassVar[str | None] = "text"


class JsonSchemaResponseFormat(ResponseFormat):
    """JSON that a schema describes. An answer that does not fit is asked for once more, and then fails the run."""

    _tag: ClassVar[str | None] = "json_schema"
    _required: ClassVar[frozenset[str]] = ResponseFormat._required | {"name", "schema"}
    _optional: ClassVar[frozenset[str]] = ResponseFormat._optional | {"strict"}

    name: str
    """For the model: `[a-zA-Z0-9_-]{1,64}`."""
    schema: Any
    """JSON Schema; at most 64 KiB."""
    strict: bool | None
    """Whether the provider is to hold the model to it, where it can."""


class Run(ApiObject):
    """One execution of an agent on a thread."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "cost": "Money", "error": "Problem", "input_messages":
        "[]", "result": "RunResult", "source": "RunSource", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"agent", "agent_version", "as_of_seq", "attempt",
        "cost_estimated", "created_at", "events_url", "id", "input_messages", "metadata", "model", "object",
        "on_conflict", "on_disconnect", "priority", "source", "status", "steps", "thread", "usage", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"after_run", "cancel_requested_at", "cost", "error",
        "external_id", "finished_at", "result", "run_at", "started_at", "suspended_at"}

    after_run: str | None
    """Behind this run."""
    agent: str
    """The agent."""
    agent_version: int
    """The version of its configuration."""
    as_of_seq: int
    """The last event of its log when this was read."""
    attempt: int
    """How many owners it has had."""
    cancel_requested_at: str | None
    """When somebody asked for its end."""
    cost: Money | None
    """Money so far; `null` when a call had no price, or the reader may not see it."""
    cost_estimated: bool
    """Whether some call's usage was proven only in part."""
    created_at: str
    """When it was accepted."""
    error: Problem | None
    """Why it failed."""
    events_url: str
    """Where its events are."""
    external_id: str | None
    """The tenant's own id for it."""
    finished_at: str | None
    """When it ended."""
    id: str
    """Its id."""
    input_messages: tuple[str, ...]
    """What it was asked."""
    metadata: dict[str, str]
    """The tenant's own pairs."""
    model: str
    """The model it was told to use."""
    object: str
    """Always `run`."""
    on_conflict: OnConflict
    """What it did on a busy thread."""
    on_disconnect: OnDisconnect
    """What happens when the last reader has gone."""
    priority: Priority
    """Which runs go first."""
    result: RunResult | None
    """What it came to."""
    run_at: str | None
    """Not before then."""
    source: RunSource
    """What made it."""
    started_at: str | None
    """When its loop began."""
    status: RunStatus
    """Where it stands."""
    steps: int
    """Model calls that completed a step."""
    suspended_at: str | None
    """Since when it waits."""
    thread: str
    """The thread it writes to."""
    usage: Usage
    """Tokens so far."""
    user: str
    """Whose it is."""


class RunBudget(ApiObject):
    """A limit on the money of one run."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "limit": "Money"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"limit"}

    limit: Money
    """Hard."""


class RunExplanation(ApiObject):
    """What a run waits for and what was spent on it, from the records that also stop and bill it."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "budgets": "[]", "calls": "[]ExplainedCall", "cost":
        "Money", "usage": "Usage", "waiting": "Waiting"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"budgets", "calls", "object", "run", "usage"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"cost", "waiting"}

    budgets: tuple[str, ...]
    """Budgets that cover its calls, hard and soft. Users are told of none."""
    calls: tuple[ExplainedCall, ...]
    """Its settled model calls in their order, at most the last 1000. Runs of other agents that carry out its tool calls have
    explanations of their own."""
    cost: Money | None
    """The run's cost, the same included; `null` when a call had no price."""
    object: str
    """Always `run.explanation`."""
    run: str
    """The run."""
    usage: Usage
    """The run's usage, runs that carry out its calls included."""
    waiting: Waiting | None
    """What it waits for; `null` when it works or is over."""


class RunResult(ApiObject):
    """What a completed run came to."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"finish_reason", "message", "text"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"json"}

    finish_reason: FinishReason
    """Why it ended."""
    json: Any
    """The parsed answer, where the agent's `response_format` asks for JSON."""
    message: str
    """The message that holds the answer."""
    text: str
    """Its text."""


class RunSnapshot(Run):
    """A run with its messages, exactly as of `as_of_seq`."""

    _nested: ClassVar[Mapping[str, str]] = {**Run._nested, "messages": "[]Message", "pending": "[]Pending"}
    _required: ClassVar[frozenset[str]] = Run._required | {"messages", "pending"}

    messages: tuple[Message, ...]
    """Its messages, partial text included."""
    pending: tuple[Pending, ...]
    """What it waits for."""


class RunSource(ApiObject):
    """What made a run."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"call", "id"}

    call: str | None
    """The call that it carries out."""
    id: str | None
    """The run or the schedule that made it."""
    type: str
    """`api`; `run`: it carries out a call of another run; or `schedule`."""


class Schedule(ApiObject):
    """A schedule."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "last_error": "Problem"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"agent", "created_at", "cron", "enabled", "id",
        "input", "metadata", "name", "object", "on_missed", "timezone", "updated_at", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"last_error", "last_run", "next_run_at", "thread"}

    agent: str
    """Which agent runs, in the version that is active then."""
    created_at: str
    """When it was made."""
    cron: str
    """When: minute, hour, day of the month, month, day of the week."""
    enabled: bool
    """Whether it makes runs."""
    id: str
    """Its id."""
    input: str | list[Any]
    """What is said."""
    last_error: Problem | None
    """Why it could not make the last one."""
    last_run: str | None
    """The last run that it made."""
    metadata: dict[str, str]
    """Own pairs, which its runs get too."""
    name: str
    """For people."""
    next_run_at: str | None
    """When it makes the next one; `null` when it makes none."""
    object: str
    """Always `schedule`."""
    on_missed: OnMissed
    """What becomes of times at which nobody was awake."""
    thread: str | None
    """In which thread; `null` = a new one each time."""
    timezone: str
    """In which time zone, by its IANA name."""
    updated_at: str
    """When it was last changed by somebody."""
    user: str
    """Whose runs it makes."""


class Secret(ApiObject):
    """A secret, without what is secret."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "hosts": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"name", "object", "updated_at"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"hosts"}

    hosts: tuple[str, ...] | None
    """The only hosts that it is sent to; `null`: those of the tools that name it."""
    name: str
    """What templates call it."""
    object: str
    """Always `secret`."""
    updated_at: str
    """When it was last changed."""


class Source(ApiObject):
    """Where a picture or a file of a message is: whatever it was sent as, an artifact.
    One of a later release is a plain `Source`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class ArtifactSource(Source):
    """An artifact of the message's user."""

    _tag: ClassVar[str | None] = "artifact"
    _required: ClassVar[frozenset[str]] = Source._required | {"artifact", "media_type", "size_bytes"}

    artifact: str
    """Its id."""
    media_type: str
    """What it is."""
    size_bytes: int
    """How large it is."""


class Tenant(ApiObject):
    """A tenant."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "allowed_origins": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"allowed_origins", "created_at", "id", "metadata",
        "name", "object", "plan", "retention_ms", "status", "updated_at"}

    allowed_origins: tuple[str, ...]
    """Origins whose pages may call the API (CORS)."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """The operator's and tenant's own pairs."""
    name: str
    """Its name."""
    object: str
    """Always `tenant`."""
    plan: str
    """The plan it is on."""
    retention_ms: int
    """How long a run's deltas are kept after its terminal event."""
    status: TenantStatus
    """Whether it may act."""
    updated_at: str
    """When it was last changed."""


class TenantPrices(ApiObject):
    """What a tenant pays otherwise than the table of prices says."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "models": "{}ModelPrice"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"markup_ppm", "models"}

    markup_ppm: int | None
    """What is added to the table's prices, in millionths: 200000 is a fifth. Not to calls with the tenant's own key."""
    models: dict[str, ModelPrice] | None
    """Prices that were agreed upon, by `PROVIDER/model-id`: final, without the mark-up, however much goes in."""


class Thread(ApiObject):
    """A line of messages between one user and agents."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "id", "metadata", "object", "status",
        "updated_at", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"active_run", "external_id", "parent_run", "title"}

    active_run: str | None
    """The run that is not terminal and first in order."""
    created_at: str
    """When it was made."""
    external_id: str | None
    """The tenant's own id for it."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """The tenant's own pairs."""
    object: str
    """Always `thread`."""
    parent_run: str | None
    """Of a thread that a run of another agent writes to, the run that called it. It is read only, and goes with that run's
    own."""
    status: ThreadStatus
    """What happens on it."""
    title: str | None
    """A title."""
    updated_at: str
    """When it was last changed."""
    user: str
    """Whose it is."""


class Ticket(ApiObject):
    """A key to one run's events, for browsers' `EventSource`."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"events_url", "expires_at", "object", "run", "ticket"}

    events_url: str
    """The events' URL, ticket included."""
    expires_at: str
    """First use must be before then."""
    object: str
    """Always `ticket`."""
    run: str
    """The run."""
    ticket: str
    """`hw_rt_…`."""


class Timeouts(ApiObject):
    """How long the phases of a model call may take."""

    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"connect_ms", "first_token_ms", "headers_ms",
        "idle_ms", "total_ms"}

    connect_ms: int | None
    """Until the connection stands."""
    first_token_ms: int | None
    """Until the first token."""
    headers_ms: int | None
    """Until the status line."""
    idle_ms: int | None
    """Between events."""
    total_ms: int | None
    """In all."""


class Tool(ApiObject):
    """A tool.
    One of a later release is a plain `Tool`."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"type"}

    type: str
    """Which it is."""


class ClientTool(Tool):
    """The tenant's app, or the browser, runs it: the run waits until the answer is sent."""

    _tag: ClassVar[str | None] = "client"
    _nested: ClassVar[Mapping[str, str]] = {**Tool._nested, "policy_rules": "[]PolicyRule"}
    _required: ClassVar[frozenset[str]] = Tool._required | {"name"}
    _optional: ClassVar[frozenset[str]] = Tool._optional | {"description", "effect", "parameters", "policy",
        "policy_rules", "ttl_ms"}

    description: str | None
    """For the model; at most 4096 characters."""
    effect: Effect | None
    """What a second call would do."""
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""
    parameters: Any
    """JSON Schema of its arguments, an object; at most 64 KiB."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What its arguments change about that: the first rule that matches; at most 32."""
    ttl_ms: int | None
    """How long an answer is waited for: 1 000 to 2 592 000 000 (30 days)."""


class HttpTool(Tool):
    """An HTTP endpoint that this server calls."""

    _tag: ClassVar[str | None] = "http"
    _nested: ClassVar[Mapping[str, str]] = {**Tool._nested, "policy_rules": "[]PolicyRule", "request": "HttpRequest"}
    _required: ClassVar[frozenset[str]] = Tool._required | {"name", "request"}
    _optional: ClassVar[frozenset[str]] = Tool._optional | {"defaults", "description", "effect", "max_result_bytes",
        "output_schema", "parameters", "policy", "policy_rules", "timeout_ms"}

    defaults: dict[str, Any] | None
    """Arguments that are always these: the model neither sees nor sets them."""
    description: str | None
    """For the model; at most 4096 characters."""
    effect: Effect | None
    """What a second call would do."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""
    output_schema: Any
    """JSON Schema that an answer has to satisfy; `null` = any."""
    parameters: Any
    """JSON Schema of its arguments, an object; at most 64 KiB."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What its arguments change about that: the first rule that matches; at most 32."""
    request: HttpRequest
    """What is sent."""
    timeout_ms: int | None
    """For the whole call: 100 to 600 000."""


class McpTools(Tool):
    """Tools of an MCP server."""

    _tag: ClassVar[str | None] = "mcp"
    _nested: ClassVar[Mapping[str, str]] = {**Tool._nested, "allowed_tools": "[]", "overrides": "{}McpOverride",
        "policy_rules": "[]PolicyRule"}
    _required: ClassVar[frozenset[str]] = Tool._required | {"server"}
    _optional: ClassVar[frozenset[str]] = Tool._optional | {"allowed_tools", "effect", "max_result_bytes", "overrides",
        "policy", "policy_rules", "timeout_ms"}

    allowed_tools: tuple[str, ...] | None
    """Which of its tools, by the names it gives them; at most 128. `null` = all that it has."""
    effect: Effect | None
    """What a second call would do. What the server says of that is a hint and changes nothing."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    overrides: dict[str, McpOverride] | None
    """What is different about single tools, by the names the server gives them; at most 128."""
    policy: Policy | None
    """Whether they are carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What their arguments change about that: the first rule that matches; at most 32."""
    server: str
    """The server's name, or its id."""
    timeout_ms: int | None
    """For each whole call: 100 to 600 000."""


class AgentTool(Tool):
    """Another agent of the tenant."""

    _tag: ClassVar[str | None] = "agent"
    _nested: ClassVar[Mapping[str, str]] = {**Tool._nested, "policy_rules": "[]PolicyRule"}
    _required: ClassVar[frozenset[str]] = Tool._required | {"agent", "name"}
    _optional: ClassVar[frozenset[str]] = Tool._optional | {"description", "max_depth", "max_result_bytes", "policy",
        "policy_rules"}

    agent: str
    """The agent's name, or its id. Its active version answers, as of the call."""
    description: str | None
    """For the model; at most 4096 characters. `null` = in the product's words."""
    max_depth: int | None
    """How deep runs may call runs by this tool: 1 to 8. A run that was called so often itself is not offered it."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What its arguments change about that: the first rule that matches; at most 32."""


class BuiltinTool(Tool):
    """Something that this server does itself."""

    _tag: ClassVar[str | None] = "builtin"
    _nested: ClassVar[Mapping[str, str]] = {**Tool._nested, "policy_rules": "[]PolicyRule"}
    _required: ClassVar[frozenset[str]] = Tool._required | {"name"}
    _optional: ClassVar[frozenset[str]] = Tool._optional | {"policy", "policy_rules"}

    name: Builtin
    """Which."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: tuple[PolicyRule, ...] | None
    """What its arguments change about that: the first rule that matches; at most 32."""


class Usage(ApiObject):
    """Tokens of one or several model calls. Input **includes** cached and cache-write tokens, output includes reasoning,
    whatever the provider's own habit."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"cache_write_tokens", "cached_input_tokens",
        "input_tokens", "output_tokens", "reasoning_tokens", "total_tokens"}

    cache_write_tokens: int
    """Those of them written to the provider's cache."""
    cached_input_tokens: int
    """Those of them read from the provider's cache."""
    input_tokens: int
    """All tokens that went in."""
    output_tokens: int
    """All tokens that came out."""
    reasoning_tokens: int
    """Those of them spent on reasoning."""
    total_tokens: int
    """Input and output."""


class UsageCall(ApiObject):
    """One line of the ledger."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "cost": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"agent", "estimated", "model", "model_call", "object",
        "run", "settled_at", "step", "usage", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"cost", "schedule"}

    agent: str
    """Whose call it was."""
    cost: Money | None
    """Its cost; `null` when the model has no price."""
    estimated: bool
    """Whether the usage was proven only in part."""
    model: str
    """The model that answered."""
    model_call: str
    """The call."""
    object: str
    """Always `usage.call`."""
    run: str
    """Its run."""
    schedule: str | None
    """The schedule that made the run; `null` too where the run is not kept any more."""
    settled_at: str
    """When it was settled."""
    step: int
    """Its step."""
    usage: Usage
    """Its tokens."""
    user: str
    """Whose it was."""


class UsageGroup(ApiObject):
    """One line of `GET /v1/usage`. A dimension that is not grouped by is `null`."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "cost": "Money", "estimated_cost": "Money", "usage":
        "Usage"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"calls", "runs", "usage"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"agent", "cost", "day", "estimate_error_percent",
        "estimated_cost", "model", "user"}

    agent: str | None
    """An agent."""
    calls: int
    """Model calls."""
    cost: Money | None
    """Their cost; `null` when one of them had no price."""
    day: str | None
    """A day in UTC."""
    estimate_error_percent: float | None
    """How far that was off; `null` where nothing was spent."""
    estimated_cost: Money | None
    """What was expected before."""
    model: str | None
    """A model."""
    runs: int
    """Runs that made calls."""
    usage: Usage
    """Their tokens."""
    user: str | None
    """A user."""


class User(ApiObject):
    """A tenant's end user."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "id", "metadata", "object", "status",
        "updated_at"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"external_id", "name"}

    created_at: str
    """When it was made."""
    external_id: str | None
    """The tenant's own id for it."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """The tenant's own pairs."""
    name: str | None
    """A display name."""
    object: str
    """Always `user`."""
    status: UserStatus
    """Whether it may act."""
    updated_at: str
    """When it was last changed."""


class UserToken(ApiObject):
    """A token of a user, valid for minutes."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "agents": "[]", "scopes": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"expires_at", "object", "scopes", "token", "user"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"agents"}

    agents: tuple[str, ...] | None
    """The agents it may run; `null` is all."""
    expires_at: str
    """When it stops working."""
    object: str
    """Always `user_token`."""
    scopes: tuple[str, ...]
    """What it may do."""
    token: str
    """The JWT."""
    user: str
    """The user it acts as."""


class Visibility(ApiObject):
    """What a tenant lets its users see of an agent's runs."""

    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"cost", "reasoning", "tool_args", "tool_output"}

    cost: bool | None
    """Money."""
    reasoning: bool | None
    """The model's reasoning."""
    tool_args: bool | None
    """Arguments of tool calls."""
    tool_output: bool | None
    """Outputs of tool calls."""


class Waiting(ApiObject):
    """What a run waits for."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"reason", "since"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"blocked_by", "predicted_ms", "queue_pos"}

    blocked_by: str | None
    """The approval, tool call or run that it waits for."""
    predicted_ms: int | None
    """For how much longer, in milliseconds, where that can be told."""
    queue_pos: int | None
    """How many calls are before its own, this one counted, where it waits for its turn at a provider."""
    reason: str
    """`concurrency`: its turn, in a process or among a provider's calls. `provider`: a pause that the provider asked for.
    `budget`: money that other calls have set aside, or, of a run that is suspended, more of it. `run_at`: its time.
    `thread_busy`: the thread's run before it. `approval`, `input`, `sub_run`: what `pending` of the run says."""
    since: str
    """Since when."""


class WebhookDelivery(ApiObject):
    """That one endpoint is told of one event."""

    _required: ClassVar[frozenset[str]] = ApiObject._required | {"attempts", "created_at", "event", "id", "object",
        "status", "type"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"error", "next_attempt_at", "response_status"}

    attempts: int
    """How often it was sent."""
    created_at: str
    """When it was written down."""
    error: str | None
    """What went wrong with the last attempt, or why there is no other."""
    event: str
    """The event: the same at every endpoint, and when it is sent again."""
    id: str
    """Its id."""
    next_attempt_at: str | None
    """When it is sent next."""
    object: str
    """Always `webhook_delivery`."""
    response_status: int | None
    """What the last attempt was answered."""
    status: DeliveryStatus
    """How far it is."""
    type: WebhookEventType
    """What has happened."""


class WebhookEndpoint(ApiObject):
    """Where a tenant's own server is told of what happens."""

    _nested: ClassVar[Mapping[str, str]] = {**ApiObject._nested, "events": "[]"}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"created_at", "events", "id", "metadata", "object",
        "status", "updated_at", "url"}
    _optional: ClassVar[frozenset[str]] = ApiObject._optional | {"description", "failing_since", "secret"}

    created_at: str
    """When it was made."""
    description: str | None
    """For people."""
    events: tuple[WebhookEventType, ...]
    """Of what it is told."""
    failing_since: str | None
    """Since when nothing has arrived there, while something was sent."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """Own pairs."""
    object: str
    """Always `webhook_endpoint`."""
    secret: str | None
    """What is signed with: `whsec_` and Base64. Shown when it is made, and `null` ever after."""
    status: WebhookStatus
    """Whether it is told anything."""
    updated_at: str
    """When it was last changed by somebody."""
    url: str
    """What is sent to, with `POST`."""


class Agent(AgentConfig):
    """An agent with its configuration."""

    _required: ClassVar[frozenset[str]] = AgentConfig._required | {"active_version", "created_at", "id", "metadata",
        "name", "object", "updated_at", "version"}
    _optional: ClassVar[frozenset[str]] = AgentConfig._optional | {"archived_at"}

    active_version: int
    """The version that new runs use."""
    archived_at: str | None
    """When it was archived."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    metadata: dict[str, str]
    """The tenant's own pairs."""
    name: str
    """Unique in the tenant."""
    object: str
    """Always `agent`."""
    updated_at: str
    """When it was last changed."""
    version: int
    """The version that is shown."""


class Plan(PlanTerms):
    """A plan."""

    _required: ClassVar[frozenset[str]] = PlanTerms._required | {"created_at", "name", "object", "updated_at"}

    created_at: str
    """When it was made."""
    name: str
    """Its name."""
    object: str
    """Always `plan`."""
    updated_at: str
    """When it was changed last."""
