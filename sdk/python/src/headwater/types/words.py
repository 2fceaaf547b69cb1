"""Words that fields are made of. A word of a later release is a plain string.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, Union

ActorKind: TypeAlias = Union[
    Literal[
        "user",
        "tenant",
        "operator",
        "system",
    ],
    str,
]
"""Kinds of actors."""

ApprovalKind: TypeAlias = Union[
    Literal[
        "tool",
        "unknown_outcome",
    ],
    str,
]
"""What is asked."""

ApprovalStatus: TypeAlias = Union[
    Literal[
        "pending",
        "approved",
        "denied",
        "cancelled",
        "expired",
    ],
    str,
]
"""Where an approval stands."""

BreakerState: TypeAlias = Union[
    Literal[
        "closed",
        "open",
        "probing",
    ],
    str,
]
"""Whether a provider is asked at all."""

BudgetMode: TypeAlias = Union[
    Literal[
        "hard",
        "soft",
    ],
    str,
]
"""What happens when it is used up."""

BudgetOwner: TypeAlias = Union[
    Literal[
        "operator",
        "tenant",
    ],
    str,
]
"""Who may change a budget. The tenant sees its operator's."""

BudgetScopeType: TypeAlias = Union[
    Literal[
        "tenant",
        "user",
        "each_user",
        "agent",
    ],
    str,
]
"""Whose calls a budget covers."""

BudgetStatus: TypeAlias = Union[
    Literal[
        "ok",
        "warning",
        "exhausted",
    ],
    str,
]
"""How much is left."""

BudgetWindow: TypeAlias = Union[
    Literal[
        "day",
        "month",
        "total",
    ],
    str,
]
"""What the limit is for, in UTC."""

Builtin: TypeAlias = Union[
    Literal[
        "memory",
        "time",
    ],
    str,
]
"""What this server does itself."""

Decider: TypeAlias = Union[
    Literal[
        "user",
        "tenant",
    ],
    str,
]
"""Who may decide."""

DecisionKind: TypeAlias = Union[
    Literal[
        "approved",
        "denied",
        "cancelled",
    ],
    str,
]
"""What is decided."""

DeliveryStatus: TypeAlias = Union[
    Literal[
        "pending",
        "delivered",
        "failed",
    ],
    str,
]
"""How far a delivery is."""

Detail: TypeAlias = Union[
    Literal[
        "auto",
        "low",
        "high",
    ],
    str,
]
"""How closely a model looks at a picture."""

Effect: TypeAlias = Union[
    Literal[
        "read",
        "idempotent",
        "side_effect",
    ],
    str,
]
"""What happens when a call is made twice."""

ErrorCode: TypeAlias = Union[
    Literal[
        "agent_not_found",
        "already_decided",
        "already_exists",
        "already_submitted",
        "approval_expired",
        "attempts_exhausted",
        "body_too_large",
        "budget_exhausted",
        "capacity_exceeded",
        "content_filtered",
        "context_length_exceeded",
        "cursor_ahead",
        "draining",
        "forbidden",
        "headers_too_large",
        "history_trimmed",
        "idempotency_in_progress",
        "idempotency_mismatch",
        "in_use",
        "input_expired",
        "internal",
        "invalid_cursor",
        "invalid_json",
        "invalid_output",
        "invalid_request",
        "invalid_schema",
        "invalid_value",
        "method_not_allowed",
        "model_not_found",
        "no_approver",
        "not_acceptable",
        "not_found",
        "origin_not_allowed",
        "overloaded",
        "override_not_allowed",
        "price_unknown",
        "provider_auth_failed",
        "provider_invalid_response",
        "provider_quota_exhausted",
        "provider_rate_limited",
        "provider_rejected",
        "provider_timeout",
        "provider_truncated",
        "provider_unavailable",
        "queue_timeout",
        "range_not_satisfiable",
        "rate_limited",
        "replica_lost",
        "request_timeout",
        "run_finished",
        "run_not_suspended",
        "run_timeout",
        "tenant_suspended",
        "thread_busy",
        "token_expired",
        "too_many_runs",
        "too_many_streams",
        "tool_error",
        "tool_invalid_args",
        "tool_invalid_output",
        "tool_limit",
        "tool_not_found",
        "tool_outcome_unknown",
        "tool_timeout",
        "tool_unreachable",
        "unauthenticated",
        "unavailable",
        "unknown_field",
        "unsupported_by_model",
        "unsupported_media_type",
        "url_not_allowed",
        "user_blocked",
        "user_required",
        "version_conflict",
    ],
    str,
]
"""A stable name for what went wrong."""

Fault: TypeAlias = Union[
    Literal[
        "caller",
        "tenant",
        "provider",
        "tool",
        "server",
    ],
    str,
]
"""Who has to act for the error to go away."""

FindingLevel: TypeAlias = Union[
    Literal[
        "ok",
        "note",
        "error",
    ],
    str,
]
"""How much a finding matters."""

FinishReason: TypeAlias = Union[
    Literal[
        "stop",
        "length",
        "tool_calls",
        "max_steps",
        "content_filter",
    ],
    str,
]
"""Why a model stopped."""

IssuerAlgorithm: TypeAlias = Union[
    Literal[
        "ES256",
        "ES384",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "EdDSA",
    ],
    str,
]
"""How a token of an issuer may be signed. Only with keys that have a public half: a secret that both sides know proves nothing to anybody else."""

McpStatus: TypeAlias = Union[
    Literal[
        "unchecked",
        "ok",
        "unreachable",
        "auth_failed",
    ],
    str,
]
"""How a server answered last."""

MessageStatus: TypeAlias = Union[
    Literal[
        "in_progress",
        "completed",
        "incomplete",
    ],
    str,
]
"""How far a message is."""

Method: TypeAlias = Union[
    Literal[
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    ],
    str,
]
"""How an endpoint is called."""

OnBudget: TypeAlias = Union[
    Literal[
        "suspend",
        "fail",
    ],
    str,
]
"""What happens to a run whose budget is used up."""

OnConflict: TypeAlias = Union[
    Literal[
        "reject",
        "enqueue",
        "interrupt",
        "rollback",
        "steer",
    ],
    str,
]
"""What a new run does while another one of its thread is not terminal."""

OnDisconnect: TypeAlias = Union[
    Literal[
        "continue",
        "cancel",
        "grace",
    ],
    str,
]
"""What happens when the last reader has gone."""

OnExpiry: TypeAlias = Union[
    Literal[
        "deny",
        "cancel",
    ],
    str,
]
"""What happens when nobody decided."""

OnMissed: TypeAlias = Union[
    Literal[
        "run_once",
        "skip",
        "run_all",
    ],
    str,
]
"""What becomes of times at which nobody was awake."""

Op: TypeAlias = Union[
    Literal[
        "eq",
        "ne",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "not_in",
        "exists",
        "absent",
        "starts_with",
    ],
    str,
]
"""How an argument is compared."""

OverrideField: TypeAlias = Union[
    Literal[
        "model",
        "fallbacks",
        "instructions",
        "temperature",
        "top_p",
        "max_output_tokens",
        "stop",
        "seed",
        "reasoning_effort",
        "response_format",
        "limits",
        "run_budget",
        "priority",
        "tools",
        "tool_choice",
    ],
    str,
]
"""A setting that user tokens may be allowed to set on a run."""

Policy: TypeAlias = Union[
    Literal[
        "auto",
        "ask",
        "deny",
    ],
    str,
]
"""What is done about a call."""

Priority: TypeAlias = Union[
    Literal[
        "interactive",
        "background",
    ],
    str,
]
"""Which runs go first."""

QuietState: TypeAlias = Union[
    Literal[
        "awake",
        "quiet",
    ],
    str,
]
"""Whether a process is awake."""

ReasoningEffort: TypeAlias = Union[
    Literal[
        "none",
        "low",
        "medium",
        "high",
    ],
    str,
]
"""How much a model should think."""

Remember: TypeAlias = Union[
    Literal[
        "call",
        "thread",
    ],
    str,
]
"""For what a decision holds."""

Role: TypeAlias = Union[
    Literal[
        "user",
        "assistant",
        "tool",
    ],
    str,
]
"""Who speaks in a message."""

RunStatus: TypeAlias = Union[
    Literal[
        "queued",
        "running",
        "suspended",
        "completed",
        "failed",
        "cancelled",
    ],
    str,
]
"""Where a run stands."""

TenantStatus: TypeAlias = Union[
    Literal[
        "active",
        "suspended",
    ],
    str,
]
"""Whether a tenant may act."""

ThreadStatus: TypeAlias = Union[
    Literal[
        "idle",
        "busy",
        "suspended",
    ],
    str,
]
"""What happens on a thread."""

ToolChoice: TypeAlias = Union[
    Literal[
        "auto",
        "none",
        "required",
    ],
    str,
]
"""Whether the model calls tools."""

Truncation: TypeAlias = Union[
    Literal[
        "auto",
        "disabled",
    ],
    str,
]
"""What happens when the thread does not fit the model's window."""

UserStatus: TypeAlias = Union[
    Literal[
        "active",
        "blocked",
    ],
    str,
]
"""Whether a user may act."""

WebhookEventType: TypeAlias = Union[
    Literal[
        "run.completed",
        "run.failed",
        "run.cancelled",
        "run.suspended",
        "approval.requested",
        "approval.resolved",
        "budget.warning",
        "budget.exhausted",
        "webhook.test",
    ],
    str,
]
"""What endpoints are told of."""

WebhookStatus: TypeAlias = Union[
    Literal[
        "enabled",
        "disabled",
    ],
    str,
]
"""Whether an endpoint is told anything."""

