"""A view from a snapshot: where a stream begins anew, and for what is drawn before it is streamed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..types import (
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    RunSnapshot,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from .edit import edit_call
from .view import ApprovalView, CallView, FileView, MessageView, PartView, ReasoningView, RunView, TextView


def view_of(snapshot: RunSnapshot) -> RunView:
    """The view of a run exactly as of its `as_of_seq`."""
    step = max([snapshot.steps, *(message.step or 0 for message in snapshot.messages)])
    view = RunView(
        run=snapshot.id,
        thread=snapshot.thread,
        agent=snapshot.agent,
        model=snapshot.model,
        status=snapshot.status,
        seq=snapshot.as_of_seq,
        step=step,
        messages=message_views(snapshot.messages),
        input_messages=snapshot.input_messages,
        pending=snapshot.pending,
        usage=snapshot.usage,
        cost=snapshot.cost,
        result=snapshot.result,
        error=snapshot.error,
        usage_step=step,
    )
    return replace(view, approvals=_approvals(view))


def message_views(messages: Iterable[Message], *, roles: tuple[str, ...] = ("assistant",)) -> tuple[MessageView, ...]:
    """Messages of a thread or a run as views, with what tools answered put beside their calls."""
    kept = list(messages)
    view = RunView(messages=tuple(_message(message) for message in kept if message.role in roles))
    for message in kept:
        for part in message.content:
            if isinstance(part, ToolResultPart):
                view = edit_call(
                    view,
                    part.call,
                    status=part.status,
                    output=part.output,
                    error=part.error,
                    artifact=part.artifact,
                    comment=part.comment,
                )
    return view.messages


def _message(message: Message) -> MessageView:
    parts: list[PartView] = []
    for part in message.content:
        match part:
            case TextPart():
                parts.append(TextView(part.text))
            case ReasoningPart():
                parts.append(ReasoningView(part.text, message.status != "in_progress"))
            case ToolCallPart():
                parts.append(CallView(part.call, part.name, status="called", args=part.args))
            case ImagePart() | FilePart():
                parts.append(FileView(part))
            case _:
                # Results are shown with their calls; parts of later releases are not shown.
                pass
    return MessageView(message.id, message.role, message.step, message.status, tuple(parts))


def _approvals(view: RunView) -> tuple[ApprovalView, ...]:
    """A snapshot names its questions, and no more: what the calls say of them is filled in."""
    found = []
    for pending in view.pending:
        if pending.type == "approval" and pending.approval and pending.call:
            call = next((call for call in view.calls if call.call == pending.call), None)
            name, args = (call.name, call.args) if call else ("", None)
            found.append(ApprovalView(pending.approval, pending.call, name, args=args))
    return tuple(found)
