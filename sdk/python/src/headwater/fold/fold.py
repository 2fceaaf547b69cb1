"""One more item, one more event: the view after it."""

from __future__ import annotations

from dataclasses import replace

from ..items import CaughtUpItem, EventItem, HiddenItem, ResetItem, StreamItem
from ..types import (
    ApprovalRequestedEvent,
    ApprovalResolvedEvent,
    ArtifactEvent,
    CostSettledEvent,
    Event,
    MessageCompletedEvent,
    MessageDeltaEvent,
    MessageStartedEvent,
    ReasoningCompletedEvent,
    ReasoningDeltaEvent,
    ReasoningStartedEvent,
    RunCancelledEvent,
    RunCompletedEvent,
    RunFailedEvent,
    RunQueuedEvent,
    RunResumedEvent,
    RunStartedEvent,
    RunSuspendedEvent,
    StepFinishedEvent,
    StepResetEvent,
    StepStartedEvent,
    SubRunStartedEvent,
    ThrottledEvent,
    ToolArgsDeltaEvent,
    ToolArgsEvent,
    ToolCompletedEvent,
    ToolDeniedEvent,
    ToolFailedEvent,
    ToolProgressEvent,
    ToolStartedEvent,
    Usage,
)
from .edit import edit_call, edit_message, put_approval, set_part, throw_away, words_of
from .snapshot import view_of
from .view import ApprovalView, ArtifactView, CallView, ReasoningView, RunView, TextView


def fold(view: RunView, item: StreamItem) -> RunView:
    """The view after one more item of the stream."""
    match item:
        case EventItem():
            return fold_event(view, item.event)
        case HiddenItem():
            return view if item.seq <= view.seq else replace(view, seq=item.seq)
        case CaughtUpItem():
            return view if view.caught_up else replace(view, caught_up=True)
        case ResetItem():
            return replace(view_of(item.snapshot), seq=item.as_of_seq, caught_up=view.caught_up)


def fold_event(view: RunView, event: Event) -> RunView:
    """The view after one more event. An event that is in the view already changes nothing."""
    if event.seq <= view.seq:
        return view
    view = replace(view, seq=event.seq, run=view.run or event.run)
    for apply in (_lifecycle, _steps, _said, _called, _asked):
        if (after := apply(view, event)) is not None:
            return after
    # Money that was only expected, warnings, and types of later releases.
    return view


def _lifecycle(view: RunView, event: Event) -> RunView | None:
    match event:
        case RunQueuedEvent():
            asked = {"thread": event.thread, "agent": event.agent, "input_messages": event.input_messages}
            return replace(view, status="queued", **asked)  # type: ignore[arg-type]  # of one dict, not of each field
        case RunStartedEvent():
            return replace(view, status="running", agent=event.agent, model=event.model)
        case RunSuspendedEvent():
            return replace(view, status="suspended", pending=event.pending)
        case RunResumedEvent():
            return replace(view, status="running", pending=())
        case RunCompletedEvent():
            return replace(_ended(view, event), status="completed", result=event.result)
        case RunFailedEvent():
            return replace(_ended(view, event), status="failed", error=event.error)
        case RunCancelledEvent():
            return replace(_ended(view, event), status="cancelled")
        case _:
            return None


def _ended(view: RunView, event: RunCompletedEvent | RunFailedEvent | RunCancelledEvent) -> RunView:
    """Nothing is open and nothing waited for once a run is over."""
    return replace(view, pending=(), throttled=None, usage=event.usage, cost=event.cost or view.cost)


def _steps(view: RunView, event: Event) -> RunView | None:
    match event:
        case StepStartedEvent():
            messages = (*view.input_messages, *event.input_messages)
            return replace(view, status="running", step=event.step, model=event.model, input_messages=messages)
        case StepFinishedEvent():
            # Where `cost.settled` can be seen, it has counted this already.
            if event.step <= view.usage_step:
                return view
            return replace(view, usage=_sum(view.usage, event.usage), usage_step=event.step)
        case StepResetEvent():
            return throw_away(view, event.messages, event.calls)
        case CostSettledEvent():
            usage = _sum(view.usage, event.usage)
            return replace(view, usage=usage, usage_step=event.step, cost=event.run_cost or view.cost)
        case ThrottledEvent():
            return replace(view, throttled=event)
        case ArtifactEvent():
            made = ArtifactView(
                event.artifact, event.call, event.message, event.filename, event.media_type, event.size_bytes
            )
            return replace(view, artifacts=(*view.artifacts, made))
        case _:
            return None


def _sum(before: Usage | None, more: Usage) -> Usage:
    if before is None:
        return more
    one, other = before.raw, more.raw
    return Usage({name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}})


def _said(view: RunView, event: Event) -> RunView | None:
    match event:
        case MessageStartedEvent():
            role, step = event.role, event.step
            started = edit_message(view, event.message, lambda message: replace(message, role=role, step=step))
            return replace(started, throttled=None)
        case MessageDeltaEvent():
            delta = event.delta
            return edit_message(
                view, event.message, lambda message: set_part(message, TextView(words_of(message, TextView) + delta))
            )
        case MessageCompletedEvent():
            text, end = event.text, {"role": event.role, "status": event.status}
            step = event.step
            return edit_message(
                view,
                event.message,
                lambda message: replace(set_part(message, TextView(text)) if text else message, step=step, **end),  # type: ignore[arg-type]  # of one dict
            )
        case ReasoningStartedEvent():
            return edit_message(view, event.message, lambda message: set_part(message, ReasoningView("", False)))
        case ReasoningDeltaEvent():
            more = event.delta
            return edit_message(
                view,
                event.message,
                lambda message: set_part(message, ReasoningView(words_of(message, ReasoningView) + more, False)),
            )
        case ReasoningCompletedEvent():
            whole = event.text
            return edit_message(view, event.message, lambda message: set_part(message, ReasoningView(whole, True)))
        case _:
            return None


def _called(view: RunView, event: Event) -> RunView | None:
    match event:
        case ToolStartedEvent():
            part = CallView(event.call, event.name, event.kind, event.effect)
            return edit_message(view, event.message, lambda message: replace(message, parts=(*message.parts, part)))
        case ToolArgsDeltaEvent():
            return edit_call(view, event.call, more_args=event.delta)
        case ToolArgsEvent():
            return edit_call(view, event.call, args=event.args, status="called")
        case ToolProgressEvent():
            return edit_call(view, event.call, progress=event)
        case ToolCompletedEvent():
            output, artifact, took = event.output, event.artifact, event.duration_ms
            return edit_call(view, event.call, status="completed", output=output, artifact=artifact, duration_ms=took)
        case ToolFailedEvent():
            return edit_call(view, event.call, status="failed", error=event.error, duration_ms=event.duration_ms)
        case ToolDeniedEvent():
            return edit_call(view, event.call, status="denied", comment=event.comment)
        case SubRunStartedEvent():
            return edit_call(view, event.call, sub_run=event.sub_run)
        case _:
            return None


def _asked(view: RunView, event: Event) -> RunView | None:
    match event:
        case ApprovalRequestedEvent():
            question = ApprovalView(
                event.approval,
                event.call,
                event.name,
                kind=event.kind,
                args=event.args,
                message=event.message,
                schema=event.schema,
                deciders=event.deciders,
                expires_at=event.expires_at,
            )
            return put_approval(view, question)
        case ApprovalResolvedEvent():
            rest = replace(view, pending=tuple(one for one in view.pending if one.approval != event.approval))
            known = next((one for one in view.approvals if one.id == event.approval), None)
            if known is None:
                return rest
            decided = replace(known, status=event.decision, comment=event.comment, edited_args=event.edited_args)
            return put_approval(rest, decided)
        case _:
            return None
