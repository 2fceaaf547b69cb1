"""The API's values, and how a client is put together."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import httpx
import pytest

from headwater import AsyncHeadwater, ConfigError, Headwater
from headwater.types import (
    Agent,
    ApiKey,
    Event,
    Message,
    MessageDeltaEvent,
    Money,
    Part,
    Run,
    RunSnapshot,
    TextPart,
    ToolCallPart,
    UserToken,
)

RAW: dict[str, Any] = {
    "id": "run_x",
    "object": "run",
    "status": "on_the_moon",
    "cost": {"nano_usd": 1830000, "usd": "0.00183"},
    "input_messages": ["msg_a", "msg_b"],
    "metadata": {"a": "b"},
    "pending": [],
    "messages": [{"id": "msg_a", "content": [{"type": "text", "text": "hi"}, {"type": "hologram", "size": 3}]}],
    "later": {"x": [1]},
}


def test_a_value_is_seen_through_its_class() -> None:
    run = RunSnapshot(RAW)
    assert (run.id, run.status, run.input_messages) == ("run_x", "on_the_moon", ("msg_a", "msg_b"))
    assert isinstance(run.cost, Money)
    assert (run.cost.usd, run.external_id, run.pending) == ("0.00183", None, ())
    assert isinstance(run, Run)
    words, later = run.messages[0].content
    assert isinstance(run.messages[0], Message)
    assert isinstance(words, TextPart)
    assert words.text == "hi"
    # A part of a later release is a part, and everything in it is there.
    assert (type(later), later.type, later.extra) == (Part, "hologram", {"size": 3})
    assert (run.extra, run.raw) == ({"later": {"x": [1]}}, RAW)


def test_a_value_never_changes() -> None:
    run = RunSnapshot.from_dict(RAW)
    with pytest.raises(AttributeError):
        run.status = "queued"
    with pytest.raises(AttributeError):
        del run.status
    run.metadata["a"] = "changed"
    run.raw["metadata"]["a"] = "changed"
    run.extra["later"]["x"].append(2)
    assert (run.metadata, run.raw) == ({"a": "b"}, RAW)


def test_names_that_are_none() -> None:
    run = Run(RAW)
    name = "statsu"
    with pytest.raises(AttributeError, match="no field 'statsu'"):
        getattr(run, name)
    # Required, and not there: a user's token sees of an agent less than a key does.
    with pytest.raises(AttributeError, match="came without 'model'"):
        _ = Agent({"id": "agt_x", "object": "agent", "name": "a"}).model
    assert not hasattr(run, "__array__")


def test_equality_copies_and_pickles() -> None:
    run = Run(RAW)
    for same in (Run(dict(RAW)), copy.copy(run), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert same == run
        assert hash(same) == hash(run)
    assert run != Run({**RAW, "status": "queued"})
    assert run != RunSnapshot(RAW)
    assert {run: 1}[Run(RAW)] == 1


def test_no_secret_is_shown() -> None:
    key = ApiKey({"id": "key_x", "object": "api_key", "name": "k", "secret": "hw_sk_secret"})
    assert (repr(key), key.secret) == ("ApiKey(id='key_x', name='k')", "hw_sk_secret")
    assert "secret" not in repr(UserToken({"object": "user_token", "token": "secret"}))


def test_events_and_parts_are_of_their_own_classes() -> None:
    envelope = {"v": 1, "seq": 1, "ts": "", "run": "run_x"}
    event = Event.from_dict({**envelope, "type": "message.delta", "message": "msg_a", "delta": "hi"})
    match event:
        case MessageDeltaEvent(delta=delta):
            assert delta == "hi"
        case _:
            pytest.fail("it is a delta")
    assert type(Event.from_dict({**envelope, "type": "moon"})) is Event
    assert type(Event.from_dict({**envelope, "type": ["odd"]})) is Event
    call = Part.from_dict({"type": "tool_call", "call": "call_a", "name": "t", "args": {"a": [1]}})
    assert isinstance(call, ToolCallPart)
    call.args["a"].append(2)
    assert call.args == {"a": [1]}
    # What is of another shape than it was is passed on as it is.
    assert Run({**RAW, "cost": "free"}).cost == "free"


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://h", "http://h"),
        ("http://h/", "http://h"),
        ("https://h/v1/", "https://h"),
        ("https://h:8443/x/v1", "https://h:8443/x"),
        ("http://[::1]:80/p/17", "http://[::1]:80/p/17"),
    ],
)
def test_base_urls(text: str, base: str) -> None:
    with Headwater(text, api_key="hw_sk_test") as hw:
        assert repr(hw) == f"Headwater({base!r}, user=None)"
        assert repr(hw.as_user("alice")) == f"Headwater({base!r}, user='alice')"


@pytest.mark.parametrize(
    "text", ["", "h", "ftp://h", "http://", "http://h?x=1", "http://h#f", "http://a:b@h", "http://h h", "http://h:x"]
)
def test_base_urls_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        Headwater(text, api_key="hw_sk_test")


def test_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_URL", raising=False)
    monkeypatch.delenv("HEADWATER_API_KEY", raising=False)
    for options in ({}, {"api_key": ""}, {"api_key": "a", "token": "b"}, {"api_key": "a", "timeout": 0}):
        with pytest.raises(ConfigError):
            Headwater("http://h", **options)
    with pytest.raises(ConfigError):
        Headwater(api_key="hw_sk_test")
    monkeypatch.setenv("HEADWATER_URL", "http://env/v1")
    monkeypatch.setenv("HEADWATER_API_KEY", "hw_sk_env")
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers={"request-id": "x"}, json={"object": "principal"})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        Headwater(http_client=http).me()
        Headwater("http://given", token="t0", http_client=http).me()
        # It is not ours to close.
        Headwater(http_client=http).close()
        assert not http.is_closed
    assert [(str(one.url), one.headers["authorization"]) for one in seen] == [
        ("http://env/v1/me", "Bearer hw_sk_env"),
        ("http://given/v1/me", "Bearer t0"),
    ]


async def test_a_closed_client_says_so() -> None:
    hw = Headwater("http://h", api_key="hw_sk_test")
    alice = hw.as_user("alice")
    alice.close()
    assert not hw._api.http.is_closed
    hw.close()
    with pytest.raises(ConfigError, match="closed"):
        alice.me()
    other = AsyncHeadwater("http://h", api_key="hw_sk_test")
    await other.close()
    with pytest.raises(ConfigError, match="closed"):
        await other.me()
