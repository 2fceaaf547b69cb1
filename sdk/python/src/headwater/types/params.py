"""What requests take: plain dicts of these shapes.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, Union

from .words import (
    BudgetMode,
    BudgetScopeType,
    BudgetWindow,
    Builtin,
    Decider,
    Detail,
    Effect,
    Method,
    OnExpiry,
    Op,
    Policy,
)


class ApprovalSettingsParam(TypedDict, total=False):
    """Who may approve, how long, and what silence means."""

    deciders: Sequence[Decider]
    """`user`, `tenant` or both. With none, an agent whose tools may ask somebody cannot be run."""
    on_expiry: OnExpiry
    """What happens when nobody decided."""
    ttl_ms: int
    """1 000 to 2 592 000 000 (30 days)."""


class _BudgetParamsParamRequired(TypedDict):
    limit: MoneyParam
    """How much may be spent in each window."""
    scope: BudgetScopeParam
    """Whose calls it covers."""


class BudgetParamsParam(_BudgetParamsParamRequired, total=False):
    """What a new budget is made of."""

    mode: BudgetMode
    """What happens when it is used up: `hard` if not given."""
    strict: bool
    """Whether a call is taken to cost what its bytes could cost at most."""
    warn_at_percent: int
    """From which part of the limit on runs are told: 1 to 100, 80 if not given."""
    window: BudgetWindow
    """What the limit is for: `month` if not given."""


class _BudgetScopeParamRequired(TypedDict):
    type: BudgetScopeType
    """The kind."""


class BudgetScopeParam(_BudgetScopeParamRequired, total=False):
    """Whose calls a budget covers."""

    id: str | None
    """The user (`usr_…`) or agent (`agt_…`); `null` for `tenant` and `each_user`."""


class _ConditionParamRequired(TypedDict):
    op: Op
    """How it is compared."""
    path: str
    """JSON pointer into the arguments, such as `/amount`."""


class ConditionParam(_ConditionParamRequired, total=False):
    """What the arguments have to be like for a rule to match."""

    value: Any
    """With what; absent for `exists` and `absent`."""


class _FallbackParamRequired(TypedDict):
    model: str
    """`PROVIDER/model-id`."""


class FallbackParam(_FallbackParamRequired, total=False):
    """Another model, for when the first one's provider fails before the first delta."""

    max_output_tokens: int | None
    """A limit of its own."""


class _HttpRequestParamRequired(TypedDict):
    method: Method
    """How."""
    url: str
    """Where; at most 2048 bytes."""


class HttpRequestParam(_HttpRequestParamRequired, total=False):
    """What is sent to an endpoint. `{{args.NAME}}`, `{{secret.NAME}}`, `{{user.id}}`, `{{user.external_id}}`, `{{run.id}}`,
    `{{thread.id}}` and `{{call.id}}` are filled in, each escaped for its place; scheme, host and port hold none of them, and a
    secret stands in headers, query and body alone."""

    body: Any
    """JSON; a string that is one template and nothing else becomes the value itself. `null` = no body."""
    headers: Mapping[str, str]
    """At most 32."""
    query: Mapping[str, str]
    """At most 32. One whose only template has no value is left out."""


class InlineThreadParam(TypedDict, total=False):
    """A thread made on the way."""

    external_id: str | None
    """The tenant's own id for it."""
    metadata: Mapping[str, str]
    """Own pairs."""


class TextInputPartParam(TypedDict):
    """Words."""

    text: str
    """At most 256 KiB."""
    type: Literal["text"]


class ImageInputPartParam(TypedDict):
    """A picture: PNG, JPEG, GIF or WebP."""

    detail: Detail
    """How closely the model looks at it."""
    source: InputSourceParam
    """Where it is."""
    type: Literal["image"]


class _FileInputPartParamRequired(TypedDict):
    source: InputSourceParam
    """Where it is."""
    type: Literal["file"]


class FileInputPartParam(_FileInputPartParamRequired, total=False):
    """A file: text of any kind, or a PDF."""

    filename: str | None
    """What to call it: at most 255 characters, without `/`. `null` = as the artifact is called."""


class UrlInputSourceParam(TypedDict):
    """Behind a public URL: it is fetched when the request is taken, once."""

    type: Literal["url"]
    url: str
    """`https` or `http`; at most 2048 bytes."""


class Base64InputSourceParam(TypedDict):
    """In the request."""

    data: str
    """At most 512 KiB once decoded; what is larger is uploaded (`POST /v1/artifacts`)."""
    media_type: str
    """What it is."""
    type: Literal["base64"]


class ArtifactInputSourceParam(TypedDict):
    """An upload, or what a tool has answered."""

    artifact: str
    """Its id."""
    type: Literal["artifact"]


class LimitsParam(TypedDict, total=False):
    """Bounds of a run."""

    max_attempts: int
    """1 to 20."""
    max_duration_ms: int
    """1 000 to 86 400 000: active time, not suspension."""
    max_input_tokens: int | None
    """What the context may hold; `null` = what the model's window leaves."""
    max_parallel_tool_calls: int
    """1 to 64."""
    max_queue_ms: int
    """0 to 600 000: the longest wait for a model permit."""
    max_steps: int
    """1 to 256. The last permitted step is sent without tools."""
    max_tool_calls: int
    """0 to 4096."""
    max_tool_result_bytes: int
    """1 024 to 262 144."""


class NoneMcpAuthParam(TypedDict):
    """Without credentials."""

    type: Literal["none"]


class BearerMcpAuthParam(TypedDict):
    """`Authorization: Bearer …`."""

    secret: str
    """The token."""
    type: Literal["bearer"]


class HeaderMcpAuthParam(TypedDict):
    """A header."""

    name: str
    """Its name."""
    secret: str
    """Its value."""
    type: Literal["header"]


class _OauthClientCredentialsMcpAuthParamRequired(TypedDict):
    client_id: str
    """Who asks."""
    secret: str
    """The client's secret."""
    token_url: str
    """Where tokens are given out."""
    type: Literal["oauth_client_credentials"]


class OauthClientCredentialsMcpAuthParam(_OauthClientCredentialsMcpAuthParamRequired, total=False):
    """A token of an OAuth 2 server, for this client."""

    scope: str | None
    """What for."""


class McpOverrideParam(TypedDict, total=False):
    """What is different about one tool of an MCP server. What is absent or `null` is as for all of them."""

    defaults: Mapping[str, Any] | None
    """Arguments that are always these: the model neither sees nor sets them."""
    effect: Effect | None
    """What a second call would do."""
    policy: Policy | None
    """Whether it is carried out."""
    policy_rules: Sequence[PolicyRuleParam] | None
    """What its arguments change about that."""
    rename: str | None
    """What the model calls it: `[a-zA-Z0-9_-]{1,64}`."""
    timeout_ms: int | None
    """For the whole call."""


class _ModelPriceParamRequired(TypedDict):
    input_pico_usd: int
    """A token that goes in."""
    output_pico_usd: int
    """A token that comes out."""


class ModelPriceParam(_ModelPriceParamRequired, total=False):
    """Prices per token, in pico-dollars (10⁻¹² USD)."""

    cache_write_pico_usd: int | None
    """A token written to the provider's cache; `null` = as `input`."""
    cached_input_pico_usd: int | None
    """A token read from the provider's cache; `null` = as `input`."""


class MoneyParam(TypedDict, total=False):
    """10⁻⁹ USD, and the same as an exact decimal. Requests give exactly one of the two."""

    nano_usd: int | None
    usd: str


class PolicyRuleParam(TypedDict):
    """A rule: the first one of a tool that matches says what is done."""

    then: Policy
    """Then this is done."""
    when: Sequence[ConditionParam]
    """All must hold; none at all always do."""


class TextResponseFormatParam(TypedDict):
    """Words."""

    type: Literal["text"]


class _JsonSchemaResponseFormatParamRequired(TypedDict):
    name: str
    """For the model: `[a-zA-Z0-9_-]{1,64}`."""
    schema: Any
    """JSON Schema; at most 64 KiB."""
    type: Literal["json_schema"]


class JsonSchemaResponseFormatParam(_JsonSchemaResponseFormatParamRequired, total=False):
    """JSON that a schema describes. An answer that does not fit is asked for once more, and then fails the run."""

    strict: bool
    """Whether the provider is to hold the model to it, where it can."""


class RunBudgetParam(TypedDict):
    """A limit on the money of one run."""

    limit: MoneyParam
    """Hard."""


class TimeoutsParam(TypedDict, total=False):
    """How long the phases of a model call may take."""

    connect_ms: int
    """Until the connection stands."""
    first_token_ms: int
    """Until the first token."""
    headers_ms: int
    """Until the status line."""
    idle_ms: int
    """Between events."""
    total_ms: int
    """In all."""


class _ClientToolParamRequired(TypedDict):
    type: Literal["client"]
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""


class ClientToolParam(_ClientToolParamRequired, total=False):
    """The tenant's app, or the browser, runs it: the run waits until the answer is sent."""

    description: str | None
    """For the model; at most 4096 characters."""
    effect: Effect
    """What a second call would do."""
    parameters: Any
    """JSON Schema of its arguments, an object; at most 64 KiB."""
    policy: Policy
    """Whether it is carried out."""
    policy_rules: Sequence[PolicyRuleParam]
    """What its arguments change about that: the first rule that matches; at most 32."""
    ttl_ms: int
    """How long an answer is waited for: 1 000 to 2 592 000 000 (30 days)."""


class _HttpToolParamRequired(TypedDict):
    type: Literal["http"]
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""
    request: HttpRequestParam
    """What is sent."""


class HttpToolParam(_HttpToolParamRequired, total=False):
    """An HTTP endpoint that this server calls."""

    defaults: Mapping[str, Any]
    """Arguments that are always these: the model neither sees nor sets them."""
    description: str | None
    """For the model; at most 4096 characters."""
    effect: Effect
    """What a second call would do."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    output_schema: Any
    """JSON Schema that an answer has to satisfy; `null` = any."""
    parameters: Any
    """JSON Schema of its arguments, an object; at most 64 KiB."""
    policy: Policy
    """Whether it is carried out."""
    policy_rules: Sequence[PolicyRuleParam]
    """What its arguments change about that: the first rule that matches; at most 32."""
    timeout_ms: int
    """For the whole call: 100 to 600 000."""


class _McpToolsParamRequired(TypedDict):
    type: Literal["mcp"]
    server: str
    """The server's name, or its id."""


class McpToolsParam(_McpToolsParamRequired, total=False):
    """Tools of an MCP server."""

    allowed_tools: Sequence[str] | None
    """Which of its tools, by the names it gives them; at most 128. `null` = all that it has."""
    effect: Effect
    """What a second call would do. What the server says of that is a hint and changes nothing."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    overrides: Mapping[str, McpOverrideParam]
    """What is different about single tools, by the names the server gives them; at most 128."""
    policy: Policy
    """Whether they are carried out."""
    policy_rules: Sequence[PolicyRuleParam]
    """What their arguments change about that: the first rule that matches; at most 32."""
    timeout_ms: int
    """For each whole call: 100 to 600 000."""


class _AgentToolParamRequired(TypedDict):
    type: Literal["agent"]
    agent: str
    """The agent's name, or its id. Its active version answers, as of the call."""
    name: str
    """`[a-zA-Z0-9_-]{1,64}`, unique in the agent."""


class AgentToolParam(_AgentToolParamRequired, total=False):
    """Another agent of the tenant."""

    description: str | None
    """For the model; at most 4096 characters. `null` = in the product's words."""
    max_depth: int
    """How deep runs may call runs by this tool: 1 to 8. A run that was called so often itself is not offered it."""
    max_result_bytes: int | None
    """How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`."""
    policy: Policy
    """Whether it is carried out."""
    policy_rules: Sequence[PolicyRuleParam]
    """What its arguments change about that: the first rule that matches; at most 32."""


class _BuiltinToolParamRequired(TypedDict):
    type: Literal["builtin"]
    name: Builtin
    """Which."""


class BuiltinToolParam(_BuiltinToolParamRequired, total=False):
    """Something that this server does itself."""

    policy: Policy
    """Whether it is carried out."""
    policy_rules: Sequence[PolicyRuleParam]
    """What its arguments change about that: the first rule that matches; at most 32."""


class _ToolOutputParamRequired(TypedDict):
    call: str
    """The call."""


class ToolOutputParam(_ToolOutputParamRequired, total=False):
    """What the tenant's application answers to a call."""

    error: str | None
    """What went wrong, in words for the model; at most 4096 characters."""
    output: Any
    """Any JSON of at most 128 KiB; `null` with `error`."""


class VisibilityParam(TypedDict, total=False):
    """What a tenant lets its users see of an agent's runs."""

    cost: bool
    """Money."""
    reasoning: bool
    """The model's reasoning."""
    tool_args: bool
    """Arguments of tool calls."""
    tool_output: bool
    """Outputs of tool calls."""


ContentParam: TypeAlias = Union[
    str,
    Sequence["InputPartParam"],
]
"""What a request gives as content: a string is one text part."""

InputPartParam: TypeAlias = Union[
    TextInputPartParam,
    ImageInputPartParam,
    FileInputPartParam,
]
"""A part in a request."""

InputSourceParam: TypeAlias = Union[
    UrlInputSourceParam,
    Base64InputSourceParam,
    ArtifactInputSourceParam,
]
"""Where a picture or a file in a request is. All of them together are at most 8 MiB."""

McpAuthParam: TypeAlias = Union[
    NoneMcpAuthParam,
    BearerMcpAuthParam,
    HeaderMcpAuthParam,
    OauthClientCredentialsMcpAuthParam,
]
"""How a server is called. `secret` names an entry of `/v1/secrets`."""

ResponseFormatParam: TypeAlias = Union[
    TextResponseFormatParam,
    JsonSchemaResponseFormatParam,
]
"""What the answer has to look like."""

ToolParam: TypeAlias = Union[
    ClientToolParam,
    HttpToolParam,
    McpToolsParam,
    AgentToolParam,
    BuiltinToolParam,
]
"""A tool."""
