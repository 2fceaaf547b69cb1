"""The fold, on logs recorded from a server, and what no recording shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fake import LOGS, Log
from headwater.fold import (
    CallView,
    FileView,
    MessageView,
    ReasoningView,
    RunView,
    TextFollower,
    TextView,
    fold,
    fold_event,
    message_views,
    view_of,
)
from headwater.items import CaughtUpItem, EventItem, HiddenItem, ResetItem, StreamItem
from headwater.types import Event, Message, RunSnapshot

NAMES = ["text", "tool", "approved", "denied", "failed", "cancelled"]


def items(log: Log) -> list[StreamItem]:
    found: list[StreamItem] = []
    for line in log.lines:
        event = json.loads(line)
        kind, seq = event["type"], event["seq"]
        found.append(HiddenItem(seq, line) if kind == "hidden" else EventItem(seq, kind, line))
    return found


def folded(what: list[StreamItem], view: RunView | None = None) -> RunView:
    view = view or RunView()
    for item in what:
        view = fold(view, item)
    return view


def shown(view: RunView) -> Any:
    """What the log and the snapshot both tell."""
    messages = [
        (
            message.id,
            message.role,
            message.step,
            message.status,
            [
                (part.call, part.name, part.status, part.args, part.output, part.error)
                if isinstance(part, CallView)
                else part
                for part in message.parts
                # A message of calls alone has no words: the snapshot may say so by an empty part.
                if not (isinstance(part, TextView) and not part.text)
            ],
        )
        for message in view.messages
    ]
    return (view.run, view.thread, view.agent, view.status, messages, view.pending, view.usage, view.cost, view.result)


@pytest.mark.parametrize("name", NAMES)
def test_a_log_folds_to_what_its_snapshot_shows(name: str) -> None:
    log = Log(name)
    view = folded(items(log))
    snapshot = view_of(RunSnapshot(log.snapshot))
    assert shown(view) == shown(snapshot)
    assert (view.error, view.is_over, view.seq) == (snapshot.error, True, len(log.lines))
    assert view.text == snapshot.text


@pytest.mark.parametrize("name", NAMES)
def test_what_came_twice_changes_nothing(name: str) -> None:
    log = items(Log(name))
    twice = [item for item in log for _ in range(2)]
    assert folded(twice) == folded(log)
    assert folded(log, folded(log)) == folded(log)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_comes_late_sees_what_is_said_again(name: str) -> None:
    log = items(Log(name))
    whole = folded(log)
    for begin in range(len(log)):
        late = folded(log[begin:])
        assert (late.status, late.result, late.error, late.usage) == (
            whole.status,
            whole.result,
            whole.error,
            whole.usage,
        )
        for message in late.messages:
            (same,) = [one for one in whole.messages if one.id == message.id]
            if message.status == "completed":
                assert message.text == same.text


@pytest.mark.parametrize("name", NAMES)
def test_a_reset_begins_anew_from_the_snapshot(name: str) -> None:
    log = Log(name)
    reset = ResetItem("trimmed", len(log.lines), RunSnapshot(log.snapshot))
    before = folded([*items(log)[:4], CaughtUpItem(4)])
    after = fold(before, reset)
    assert shown(after) == shown(folded(items(log)))
    assert (after.seq, after.caught_up) == (len(log.lines), True)


def test_an_approval_is_asked_decided_and_answered() -> None:
    log = items(Log("approved"))
    seen: list[tuple[Any, ...]] = []
    view = RunView()
    for item in log:
        view = fold(view, item)
        state = (
            view.status,
            tuple(one.status for one in view.approvals),
            tuple(one.status for one in view.calls),
            len(view.pending_approvals),
            len(view.pending_inputs),
        )
        if not seen or seen[-1] != state:
            seen.append(state)
    assert seen == [
        ("queued", (), (), 0, 0),
        ("running", (), (), 0, 0),
        ("running", (), ("writing",), 0, 0),
        ("running", (), ("called",), 0, 0),
        ("running", ("pending",), ("called",), 1, 0),
        ("suspended", ("pending",), ("called",), 1, 0),
        ("running", ("pending",), ("called",), 1, 0),
        ("running", ("approved",), ("called",), 0, 0),
        ("suspended", ("approved",), ("called",), 0, 1),
        ("running", ("approved",), ("called",), 0, 0),
        ("running", ("approved",), ("failed",), 0, 0),
        ("completed", ("approved",), ("failed",), 0, 0),
    ]
    (approval,) = view.approvals
    (call,) = view.calls
    assert (approval.call, approval.comment, approval.deciders) == (call.call, "as you like", ("user", "tenant"))
    assert (call.name, call.kind, call.args_text) == ("pick_file", "client", "{}")
    assert call.error is not None
    assert (call.error.code, call.error.detail) == ("tool_error", "no such file")


def test_a_snapshot_of_what_waits() -> None:
    snapshot = RunSnapshot(json.loads((LOGS / "waits.snapshot.json").read_text(encoding="utf-8")))
    view = view_of(snapshot)
    (approval,) = view.pending_approvals
    assert (view.status, approval.name, approval.call) == ("suspended", "pick_file", view.calls[0].call)
    # The rest of the log goes on from it.
    rest = [item for item in items(Log("approved")) if isinstance(item, EventItem) and item.seq > view.seq]
    whole = folded(items(Log("approved")))
    after = folded(list(rest), view)
    assert (after.status, after.calls[0].status, after.approvals[0].status) == ("completed", "failed", "approved")
    assert (after.text, after.usage) == (whole.text, whole.usage)


def test_what_was_denied() -> None:
    (call,) = folded(items(Log("denied"))).calls
    assert (call.status, call.comment) == ("denied", "as you like")


def event(seq: int, kind: str, /, **fields: Any) -> Event:
    return Event.of(Event, {"v": 1, "seq": seq, "ts": "", "run": "run_x", "type": kind, **fields})


def events(*told: tuple[str, dict[str, Any]]) -> RunView:
    view = RunView()
    for seq, (kind, fields) in enumerate(told, 1):
        view = fold_event(view, event(seq, kind, **fields))
    return view


SAID: list[tuple[str, dict[str, Any]]] = [
    ("step.started", {"step": 1, "model": "m", "input_messages": []}),
    ("message.started", {"step": 1, "message": "msg_a", "role": "assistant"}),
    ("reasoning.started", {"step": 1, "message": "msg_a"}),
    ("reasoning.delta", {"message": "msg_a", "delta": "hm"}),
    ("message.delta", {"message": "msg_a", "delta": "It "}),
    ("message.delta", {"message": "msg_a", "delta": "is"}),
    ("tool.started", {"step": 1, "message": "msg_a", "call": "call_a", "name": "t", "kind": "http", "effect": "read"}),
    ("tool.args.delta", {"call": "call_a", "delta": '{"a"'}),
    ("tool.args.delta", {"call": "call_a", "delta": ":1}"}),
]


def test_a_message_grows_in_the_order_that_is_promised() -> None:
    (message,) = events(*SAID).messages
    call = CallView("call_a", "t", "http", "read", args_text='{"a":1}')
    assert message.parts == (ReasoningView("hm", False), TextView("It is"), call)
    (message,) = events(*SAID, ("reasoning.completed", {"message": "msg_a", "text": "hm!"})).messages
    assert message.parts[0] == ReasoningView("hm!", True)


def test_a_step_that_is_reset_is_thrown_away() -> None:
    asked: dict[str, Any] = {"approval": "apr_a", "kind": "tool", "call": "call_a", "name": "t", "message": "?"}
    asked.update({"deciders": [], "schema": None, "expires_at": "2026-12-01T00:00:00.000Z"})
    before = [*SAID, ("approval.requested", asked)]
    reset = ("step.reset", {"step": 1, "reason": "takeover", "messages": ["msg_a"], "calls": ["call_a"]})
    view = events(*before, reset)
    assert (view.messages, view.approvals, view.calls) == ((), (), ())
    # A message takes its calls along, and what was asked about them.
    view = events(*before, ("step.reset", {"step": 1, "reason": "takeover", "messages": ["msg_a"], "calls": []}))
    assert (view.messages, view.approvals) == ((), ())
    # Only the calls: the message stays.
    view = events(*before, ("step.reset", {"step": 1, "reason": "takeover", "messages": [], "calls": ["call_a"]}))
    assert (len(view.messages), view.calls, view.approvals) == (1, (), ())
    again = events(*before, reset, ("message.delta", {"message": "msg_b", "delta": "new"}))
    assert again.messages == (MessageView("msg_b", parts=(TextView("new"),)),)


def test_events_of_a_later_release_and_calls_unseen_change_nothing() -> None:
    view = events(*SAID)
    later = fold_event(view, event(99, "moon.phase", phase="full"))
    assert later == replace(view, seq=99)
    unseen = fold_event(view, event(99, "tool.completed", call="call_z", output=1, artifact=None, duration_ms=1))
    assert unseen == replace(view, seq=99)


def test_tools_on_their_way() -> None:
    view = events(
        *SAID,
        ("tool.args", {"call": "call_a", "args": {"a": 1}}),
        ("tool.progress", {"call": "call_a", "progress": 3, "total": 10, "message": "on it"}),
        ("sub_run.started", {"call": "call_a", "sub_run": "run_b", "agent": "agt_b", "agent_version": 1}),
        ("throttled", {"wait_ms": 5, "queue_pos": 1, "reason": "provider"}),
        ("artifact", {"artifact": "art_a", "call": "call_a", "media_type": "text/csv", "size_bytes": 3}),
    )
    (call,) = view.calls
    assert call.progress is not None
    assert (call.status, call.args, call.progress.progress, call.sub_run) == ("called", {"a": 1}, 3, "run_b")
    assert view.throttled is not None
    assert (view.throttled.queue_pos, view.artifacts[0].media_type) == (1, "text/csv")
    started = fold_event(view, event(99, "message.started", step=2, message="msg_b", role="assistant"))
    assert started.throttled is None


def test_money_counts_once() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    settled = {"step": 1, "model_call": "llm_a", "model": "m", "usage": usage, "estimated": False}
    finished = {"step": 1, "finish_reason": "stop", "usage": usage}
    seen = events(("cost.settled", {**settled, "run_cost": {"usd": "1"}}), ("step.finished", finished))
    hidden = events(("step.finished", finished))
    assert seen.usage is not None
    assert (seen.usage.total_tokens, seen.usage) == (3, hidden.usage)
    assert seen.cost is not None
    assert (seen.cost.usd, hidden.cost) == ("1", None)


def words(told: list[StreamItem], *, from_the_beginning: bool = True) -> str:
    follower = TextFollower(from_the_beginning=from_the_beginning)
    return "".join(follower.feed(item) for item in told)


@pytest.mark.parametrize("name", NAMES)
def test_words_as_they_come_are_the_words_of_the_view(name: str) -> None:
    log = items(Log(name))
    assert words(log) == folded(log).text
    # Without the deltas they come whole.
    assert words([item for item in log if getattr(item, "type", "") != "message.delta"]) == folded(log).text


@pytest.mark.parametrize("name", NAMES)
def test_words_that_were_read_before_are_not_given_again(name: str) -> None:
    log = items(Log(name))
    for at in range(len(log) + 1):
        after = words(log[at:], from_the_beginning=at == 0)
        assert words(log[:at]).rstrip("\n") + after.lstrip("\n") == folded(log).text


def test_words_after_a_reset() -> None:
    log = Log()
    reset = ResetItem("trimmed", len(log.lines), RunSnapshot(log.snapshot))
    whole = folded(items(log)).text
    assert words([reset]) == whole
    assert words([*items(log), reset]) == whole

    def item(seq: int, kind: str, /, **fields: Any) -> EventItem:
        return EventItem(seq, kind, json.dumps(event(seq, kind, **fields).raw))

    told: list[StreamItem] = [
        item(1, "message.delta", message="msg_a", delta="It "),
        item(2, "step.reset", step=1, reason="takeover", messages=["msg_a"], calls=[]),
        item(3, "message.delta", message="msg_b", delta="It is"),
        item(4, "message.completed", step=1, message="msg_b", role="assistant", text="It is.", status="completed"),
    ]
    assert words(told) == "It \n\nIt is."


def test_pictures_and_files_are_shown_as_the_api_has_them() -> None:
    source = {"type": "artifact", "artifact": "art_a", "media_type": "image/png", "size_bytes": 3}
    content = [{"type": "image", "source": source}, {"type": "file", "source": source, "filename": "a.png"}]
    message = Message({"id": "msg_a", "role": "user", "status": "completed", "content": content})
    (view,) = message_views([message], roles=("user",))
    assert [part.type for part in view.parts] == ["file", "file"]
    assert [part.part.type for part in view.parts if isinstance(part, FileView)] == ["image", "file"]
    assert message_views([message]) == ()
