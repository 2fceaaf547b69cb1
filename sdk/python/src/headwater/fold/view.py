"""What a user interface shows of a run. Views are plain values and never change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from ..types import Money, Part, Pending, Problem, RunResult, RunStatus, ThrottledEvent, ToolProgressEvent, Usage


@dataclass(frozen=True)
class TextView:
    """Words of an answer, as far as they have come."""

    text: str
    type: ClassVar[Literal["text"]] = "text"


@dataclass(frozen=True)
class ReasoningView:
    """What the provider shows of its model's reasoning."""

    text: str
    done: bool
    """Whether no more of it comes."""
    type: ClassVar[Literal["reasoning"]] = "reasoning"


@dataclass(frozen=True)
class CallView:
    """A tool call and what came of it."""

    call: str
    """Its id."""
    name: str
    """The tool."""
    kind: str | None = None
    """`http`, `mcp`, `client`, `agent`, `builtin`; `None` in a view made of a snapshot, which does not say."""
    effect: str | None = None
    """`read`, `idempotent` or `side_effect`, where it is known."""
    status: str = "writing"
    """`writing`: the model writes its arguments; `called`: nobody has answered yet; `completed`, `failed`, `denied`."""
    args: Any = None
    """Its arguments; `None` until they are whole, and where the reader may not see them."""
    args_text: str = ""
    """The arguments as the model writes them: JSON that may break off."""
    progress: ToolProgressEvent | None = None
    """How far the tool says it is."""
    output: Any = None
    """What it answered."""
    artifact: str | None = None
    """The id of the whole, where `output` is an excerpt."""
    error: Problem | None = None
    """Why it failed."""
    comment: str | None = None
    """What the one who denied it said."""
    duration_ms: int | None = None
    """How long it took."""
    sub_run: str | None = None
    """The run of another agent that carries it out."""
    type: ClassVar[Literal["tool_call"]] = "tool_call"


@dataclass(frozen=True)
class FileView:
    """A picture or a file, as the API has it."""

    part: Part
    type: ClassVar[Literal["file"]] = "file"


PartView: TypeAlias = TextView | ReasoningView | CallView | FileView
"""A part of a message."""


@dataclass(frozen=True)
class MessageView:
    """A message that the run has written or writes."""

    id: str
    """Its id."""
    role: str = "assistant"
    """`assistant` or `user`."""
    step: int | None = None
    """The step that writes it; `None` if its beginning was not seen."""
    status: str = "in_progress"
    """`in_progress`, `completed`, or `incomplete`: it was cut by a cancel or a failure."""
    parts: tuple[PartView, ...] = ()
    """Reasoning, text, calls, in this order."""

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(part.text for part in self.parts if isinstance(part, TextView))


@dataclass(frozen=True)
class ApprovalView:
    """A question to a person."""

    id: str
    """Its id."""
    call: str
    """The tool call concerned."""
    name: str
    """The tool."""
    status: str = "pending"
    """`pending`, `approved`, `denied`, `cancelled` or `expired`."""
    kind: str | None = None
    """`tool` or `unknown_outcome`; `None`, as are those below, in a view made of a snapshot, which does not say."""
    args: Any = None
    """The arguments to be decided on."""
    message: str | None = None
    """The question in words."""
    schema: Any = None
    """JSON Schema that edited arguments have to satisfy."""
    deciders: tuple[str, ...] = ()
    """Who may decide: `user`, `tenant`."""
    expires_at: str | None = None
    """Until when."""
    comment: str | None = None
    """What the one who decided said."""
    edited_args: Any = None
    """What it is called with instead."""


@dataclass(frozen=True)
class ArtifactView:
    """Something that was made."""

    id: str
    call: str | None
    message: str | None
    filename: str | None
    media_type: str
    size_bytes: int


@dataclass(frozen=True)
class RunView:
    """A run as far as its log was read."""

    run: str | None = None
    """The run's id; `None` until something of it was read."""
    thread: str | None = None
    """Its thread."""
    agent: str | None = None
    """Its agent."""
    model: str | None = None
    """The model of the step that is under way."""
    status: RunStatus | None = None
    """`None` until something says so."""
    seq: int = 0
    """The last event that is in this view: read on after it."""
    caught_up: bool = False
    """Whether the log's end was reached once: what follows is live."""
    step: int = 0
    """The step that is under way or was last; 0 before the first."""
    messages: tuple[MessageView, ...] = ()
    """What the run says. What it was asked is in its thread: `input_messages` names it."""
    input_messages: tuple[str, ...] = ()
    """What it was asked."""
    approvals: tuple[ApprovalView, ...] = ()
    """All questions, the decided ones too."""
    pending: tuple[Pending, ...] = ()
    """What a suspended run waits for."""
    artifacts: tuple[ArtifactView, ...] = ()
    """What it has made."""
    throttled: ThrottledEvent | None = None
    """The last word of the queue for a model; `None` once the model answers."""
    usage: Usage | None = None
    """Tokens so far; exact at the end, and of the steps that are over until then."""
    cost: Money | None = None
    """Money so far; `None` if it is not known or this reader may not see it."""
    result: RunResult | None = None
    """The answer of a completed run."""
    error: Problem | None = None
    """Why it failed."""
    usage_step: int = field(default=0, repr=False)
    """Up to which step `usage` counts."""

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.status in ("completed", "failed", "cancelled")

    @property
    def text(self) -> str:
        """The words of the run's messages, with an empty line between."""
        return "\n\n".join(message.text for message in self.messages if message.text)

    @property
    def calls(self) -> tuple[CallView, ...]:
        """All tool calls, in order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, CallView))

    @property
    def pending_approvals(self) -> tuple[ApprovalView, ...]:
        """The questions that wait for a decision."""
        return tuple(approval for approval in self.approvals if approval.status == "pending")

    @property
    def pending_inputs(self) -> tuple[CallView, ...]:
        """The calls that wait for the application's answer (`runs.call_result`)."""
        waited = {one.call for one in self.pending if one.type == "input"}
        return tuple(call for call in self.calls if call.call in waited)
