"""The small edits that views are made of: each gives a new value, or the same one where nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .view import ApprovalView, CallView, MessageView, ReasoningView, RunView, TextView


def edit_message(view: RunView, id: str, edit: Callable[[MessageView], MessageView]) -> RunView:
    """Changes a message, which is made first if its beginning was not seen."""
    messages = list(view.messages)
    for at in reversed(range(len(messages))):
        if messages[at].id == id:
            messages[at] = edit(messages[at])
            break
    else:
        messages.append(edit(MessageView(id)))
    return replace(view, messages=tuple(messages))


def set_part(message: MessageView, part: TextView | ReasoningView) -> MessageView:
    """Sets a message's one part of a type, in the order that the API promises: reasoning, text, calls."""
    parts = list(message.parts)
    for at, other in enumerate(parts):
        if other.type == part.type:
            parts[at] = part
            break
    else:
        behind = isinstance(part, TextView) and bool(parts) and isinstance(parts[0], ReasoningView)
        parts.insert(1 if behind else 0, part)
    return replace(message, parts=tuple(parts))


def words_of(message: MessageView, kind: type[TextView] | type[ReasoningView]) -> str:
    """The words of a message's one part of a type."""
    return next((part.text for part in message.parts if isinstance(part, kind)), "")


def edit_call(view: RunView, call: str, **changes: Any) -> RunView:
    """Changes a call. One whose beginning was not seen is left out: nothing is known of it."""
    for at in reversed(range(len(view.messages))):
        message = view.messages[at]
        for place, part in enumerate(message.parts):
            if isinstance(part, CallView) and part.call == call:
                if "more_args" in changes:
                    changes["args_text"] = part.args_text + changes.pop("more_args")
                edited = replace(part, **changes)
                parts = (*message.parts[:place], edited, *message.parts[place + 1 :])
                changed = replace(message, parts=parts)
                return replace(view, messages=(*view.messages[:at], changed, *view.messages[at + 1 :]))
    return view


def put_approval(view: RunView, approval: ApprovalView) -> RunView:
    """Adds a question, or replaces the one of the same id."""
    others = tuple(other for other in view.approvals if other.id != approval.id)
    return replace(view, approvals=(*others, approval))


def throw_away(view: RunView, messages: Iterable[str], calls: Iterable[str]) -> RunView:
    """Throws away messages and calls, with the questions about them."""
    void, gone = set(messages), set(calls)
    for message in view.messages:
        if message.id in void:
            gone |= {part.call for part in message.parts if isinstance(part, CallView)}
    kept = []
    for message in view.messages:
        if message.id not in void:
            parts = tuple(part for part in message.parts if not (isinstance(part, CallView) and part.call in gone))
            kept.append(message if len(parts) == len(message.parts) else replace(message, parts=parts))
    return replace(
        view,
        messages=tuple(kept),
        approvals=tuple(approval for approval in view.approvals if approval.call not in gone),
        pending=tuple(one for one in view.pending if one.call is None or one.call not in gone),
    )
