"""The events of a run's log. Tell them apart with `isinstance` or `match`.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .._model import ApiObject
from .words import (
    ApprovalKind,
    ApprovalStatus,
    BudgetMode,
    Decider,
    ErrorCode,
    FinishReason,
    MessageStatus,
    Remember,
    Role,
    RunStatus,
)

if TYPE_CHECKING:
    from .objects import Actor, BudgetScope, Money, Pending, Problem, RunResult, Usage


class Event(ApiObject):
    """One event with its envelope, as a client reads it."""

    _variants: ClassVar[dict[str, type[ApiObject]]] = {}
    _required: ClassVar[frozenset[str]] = ApiObject._required | {"run", "seq", "ts", "type", "v"}

    run: str
    """The run."""
    seq: int
    """Position in the run's log, dense from 1."""
    ts: str
    """When it was written."""
    v: int
    """Version of the envelope: 1."""
    type: str
    """What happened. Types of later releases are plain `Event`s."""


class RunQueuedEvent(Event):
    """The run was accepted. Always seq 1."""

    _tag: ClassVar[str | None] = "run.queued"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "input_messages": "[]"}
    _required: ClassVar[frozenset[str]] = Event._required | {"agent", "agent_version", "input_messages", "thread",
        "user"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"after_run", "run_at"}

    after_run: str | None
    agent: str
    agent_version: int
    input_messages: tuple[str, ...]
    run_at: str | None
    thread: str
    user: str


class RunStartedEvent(Event):
    """The loop began. Once per run."""

    _tag: ClassVar[str | None] = "run.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"agent", "agent_version", "attempt", "model"}

    agent: str
    agent_version: int
    attempt: int
    model: str


class RunSuspendedEvent(Event):
    """The run waits for a person."""

    _tag: ClassVar[str | None] = "run.suspended"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "pending": "[]Pending"}
    _required: ClassVar[frozenset[str]] = Event._required | {"pending", "reason"}

    pending: tuple[Pending, ...]
    reason: str


class RunResumedEvent(Event):
    """The run goes on."""

    _tag: ClassVar[str | None] = "run.resumed"
    _required: ClassVar[frozenset[str]] = Event._required | {"attempt", "reason"}

    attempt: int
    reason: str


class RunCompletedEvent(Event):
    """Terminal: done."""

    _tag: ClassVar[str | None] = "run.completed"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "cost": "Money", "result": "RunResult", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"result", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost"}

    cost: Money | None
    result: RunResult
    usage: Usage


class RunFailedEvent(Event):
    """Terminal: failed. `code`, `message` and `retryable` repeat `error`."""

    _tag: ClassVar[str | None] = "run.failed"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "cost": "Money", "error": "Problem", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"code", "error", "retryable", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost", "message"}

    code: ErrorCode
    cost: Money | None
    error: Problem
    message: str | None
    retryable: bool
    usage: Usage


class RunCancelledEvent(Event):
    """Terminal: cancelled."""

    _tag: ClassVar[str | None] = "run.cancelled"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "by": "Actor", "cost": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"by", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost"}

    by: Actor
    cost: Money | None
    usage: Usage


class StepStartedEvent(Event):
    """A model call begins; `input_messages` were steered in."""

    _tag: ClassVar[str | None] = "step.started"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "input_messages": "[]"}
    _required: ClassVar[frozenset[str]] = Event._required | {"input_messages", "model", "step"}

    input_messages: tuple[str, ...]
    model: str
    step: int


class StepFinishedEvent(Event):
    """A model call and its tools are done."""

    _tag: ClassVar[str | None] = "step.finished"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "cost": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"finish_reason", "step", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost"}

    cost: Money | None
    finish_reason: FinishReason
    step: int
    usage: Usage


class StepResetEvent(Event):
    """What this step produced so far is void; new ids follow."""

    _tag: ClassVar[str | None] = "step.reset"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "calls": "[]", "messages": "[]"}
    _required: ClassVar[frozenset[str]] = Event._required | {"calls", "messages", "reason", "step"}

    calls: tuple[str, ...]
    messages: tuple[str, ...]
    reason: str
    step: int


class MessageStartedEvent(Event):
    """A message begins."""

    _tag: ClassVar[str | None] = "message.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"message", "role", "step"}

    message: str
    role: Role
    step: int


class MessageDeltaEvent(Event):
    """More text of a message."""

    _tag: ClassVar[str | None] = "message.delta"
    _required: ClassVar[frozenset[str]] = Event._required | {"delta", "message"}

    delta: str
    message: str


class MessageCompletedEvent(Event):
    """The whole text again, so that a late reader needs no deltas."""

    _tag: ClassVar[str | None] = "message.completed"
    _required: ClassVar[frozenset[str]] = Event._required | {"message", "role", "status", "step", "text"}

    message: str
    role: Role
    status: MessageStatus
    step: int
    text: str


class ReasoningStartedEvent(Event):
    """The model begins to reason."""

    _tag: ClassVar[str | None] = "reasoning.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"message", "step"}

    message: str
    step: int


class ReasoningDeltaEvent(Event):
    """More of its reasoning."""

    _tag: ClassVar[str | None] = "reasoning.delta"
    _required: ClassVar[frozenset[str]] = Event._required | {"delta", "message"}

    delta: str
    message: str


class ReasoningCompletedEvent(Event):
    """The whole reasoning again."""

    _tag: ClassVar[str | None] = "reasoning.completed"
    _required: ClassVar[frozenset[str]] = Event._required | {"message", "text"}

    message: str
    text: str


class ToolStartedEvent(Event):
    """The model begins to call a tool. `kind` and `effect` are `null` for one that the agent does not have."""

    _tag: ClassVar[str | None] = "tool.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "message", "name", "step"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"effect", "kind"}

    call: str
    effect: str | None
    kind: str | None
    message: str
    name: str
    step: int


class ToolArgsDeltaEvent(Event):
    """More of a call's arguments, as JSON text."""

    _tag: ClassVar[str | None] = "tool.args.delta"
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "delta"}

    call: str
    delta: str


class ToolArgsEvent(Event):
    """All of them, parsed; `null` when they are no JSON."""

    _tag: ClassVar[str | None] = "tool.args"
    _required: ClassVar[frozenset[str]] = Event._required | {"call"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"args"}

    args: Any
    call: str


class ToolProgressEvent(Event):
    """A call is being carried out, and how far it is, as its tool tells."""

    _tag: ClassVar[str | None] = "tool.progress"
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "progress"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"message", "total"}

    call: str
    message: str | None
    progress: float
    total: float | None


class SubRunStartedEvent(Event):
    """A call is carried out by a run of another agent."""

    _tag: ClassVar[str | None] = "sub_run.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"agent", "agent_version", "call", "sub_run"}

    agent: str
    agent_version: int
    call: str
    sub_run: str


class SubRunFinishedEvent(Event):
    """That run has ended. What it used and cost counts as this run's too."""

    _tag: ClassVar[str | None] = "sub_run.finished"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "cost": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "estimated", "status", "sub_run", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost"}

    call: str
    cost: Money | None
    estimated: bool
    status: RunStatus
    sub_run: str
    usage: Usage


class ToolCompletedEvent(Event):
    """A call was answered. `artifact` is the whole where `output` is an excerpt."""

    _tag: ClassVar[str | None] = "tool.completed"
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "duration_ms"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"artifact", "output"}

    artifact: str | None
    call: str
    duration_ms: int
    output: Any


class ArtifactEvent(Event):
    """There is something that is too large for an event, or is no text."""

    _tag: ClassVar[str | None] = "artifact"
    _required: ClassVar[frozenset[str]] = Event._required | {"artifact", "media_type", "size_bytes"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"call", "filename", "message"}

    artifact: str
    call: str | None
    filename: str | None
    media_type: str
    message: str | None
    size_bytes: int


class ToolFailedEvent(Event):
    """A call went wrong; the model is told."""

    _tag: ClassVar[str | None] = "tool.failed"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "error": "Problem"}
    _required: ClassVar[frozenset[str]] = Event._required | {"call", "duration_ms", "error"}

    call: str
    duration_ms: int
    error: Problem


class ToolDeniedEvent(Event):
    """A call was not permitted. `by` is `null` when the agent's policy says so."""

    _tag: ClassVar[str | None] = "tool.denied"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "by": "Actor"}
    _required: ClassVar[frozenset[str]] = Event._required | {"call"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"by", "comment"}

    by: Actor | None
    call: str
    comment: str | None


class ApprovalRequestedEvent(Event):
    """A person is asked whether a call may be carried out."""

    _tag: ClassVar[str | None] = "approval.requested"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "deciders": "[]"}
    _required: ClassVar[frozenset[str]] = Event._required | {"approval", "call", "deciders", "expires_at", "kind",
        "message", "name", "schema"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"args"}

    approval: str
    args: Any
    call: str
    deciders: tuple[Decider, ...]
    expires_at: str
    kind: ApprovalKind
    message: str
    name: str
    schema: Any


class ApprovalResolvedEvent(Event):
    """What was decided, and by whom. `expired` where nobody did in time."""

    _tag: ClassVar[str | None] = "approval.resolved"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "by": "Actor"}
    _required: ClassVar[frozenset[str]] = Event._required | {"approval", "call", "decision"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"by", "comment", "edited_args", "remember"}

    approval: str
    by: Actor | None
    call: str
    comment: str | None
    decision: ApprovalStatus
    edited_args: Any
    remember: Remember | None


class CostEstimatedEvent(Event):
    """What a model call is expected to cost."""

    _tag: ClassVar[str | None] = "cost.estimated"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "expected": "Money", "reserve": "Money"}
    _required: ClassVar[frozenset[str]] = Event._required | {"input_tokens", "model", "model_call", "step"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"expected", "reserve"}

    expected: Money | None
    input_tokens: int
    model: str
    model_call: str
    reserve: Money | None
    step: int


class ModelStartedEvent(Event):
    """The provider has begun an answer that it keeps: whoever takes the run over can go on reading it. `response` is the
    provider's own id of it. Told only where a provider is asked in background mode; never to end users."""

    _tag: ClassVar[str | None] = "model.started"
    _required: ClassVar[frozenset[str]] = Event._required | {"model", "model_call", "response", "step"}

    model: str
    model_call: str
    response: str
    step: int


class CostSettledEvent(Event):
    """What a model call did cost. `cost` is `null` for a model without a price."""

    _tag: ClassVar[str | None] = "cost.settled"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "cost": "Money", "run_cost": "Money", "usage": "Usage"}
    _required: ClassVar[frozenset[str]] = Event._required | {"estimated", "model", "model_call", "step", "usage"}
    _optional: ClassVar[frozenset[str]] = Event._optional | {"cost", "run_cost"}

    cost: Money | None
    estimated: bool
    model: str
    model_call: str
    run_cost: Money | None
    step: int
    usage: Usage


class BudgetWarningEvent(Event):
    """A budget that covers the run is about to be used up. Once per budget, window and run."""

    _tag: ClassVar[str | None] = "budget.warning"
    _nested: ClassVar[Mapping[str, str]] = {**Event._nested, "limit": "Money", "remaining": "Money", "scope":
        "BudgetScope", "spent": "Money"}
    _required: ClassVar[frozenset[str]] = Event._required | {"budget", "limit", "mode", "remaining", "scope", "spent"}

    budget: str
    limit: Money
    mode: BudgetMode
    remaining: Money
    scope: BudgetScope
    spent: Money


class ThrottledEvent(Event):
    """The run waits for a place. At most one per second."""

    _tag: ClassVar[str | None] = "throttled"
    _required: ClassVar[frozenset[str]] = Event._required | {"queue_pos", "reason", "wait_ms"}

    queue_pos: int
    reason: str
    wait_ms: int


class HiddenEvent(Event):
    """An event that this reader may not see: its place in the order, and nothing else."""

    _tag: ClassVar[str | None] = "hidden"
