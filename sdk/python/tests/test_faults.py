"""The scripts that every SDK of Headwater lives through, each with both clients: see `sdk/faults`."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

import needs
from headwater import (
    ApiError,
    AsyncHeadwater,
    AsyncRunStream,
    CaughtUpItem,
    CredentialEndedError,
    DecodeError,
    EdgeError,
    EventItem,
    GaveUpError,
    Headwater,
    HeadwaterError,
    HiddenItem,
    ResetItem,
    RetryPolicy,
    RunStream,
    StreamGapError,
    StreamItem,
    TimedOutError,
    TransportError,
)

FAULTS = needs.faults()
Json = dict[str, Any]


def ask(path: str, body: Json | None = None) -> Json:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{FAULTS}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return cast(Json, json.load(answer))


PLAYS: list[Json] = ask("/scripts")["plays"] if FAULTS else []

pytestmark = pytest.mark.skipif(FAULTS is None, reason="HEADWATER_FAULTS_URL is not set")


class Tokens:
    """Gives t0, t1, … and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.asked += 1
            return f"t{self.asked - 1}"


def credential(call: Json, tokens: Tokens) -> Json:
    known: dict[str, Json] = {
        "key": {"api_key": "hw_sk_test"},
        "one_token": {"token": "t0"},
        "tokens": {"token": tokens},
    }
    return known[call.get("credential", "key")]


def options(call: Json) -> Json:
    found = {"retry_ms": call.get("retry_ms", 0)}
    found.update({name: call[name] for name in ("attempts", "idle_ms") if call.get(name) is not None})
    return found


def told(error: HeadwaterError | None) -> Json | None:
    if error is None:
        return None
    kinds: list[tuple[type[HeadwaterError], str]] = [
        (ApiError, "api"),
        (EdgeError, "edge"),
        (TransportError, "transport"),
        (TimedOutError, "timeout"),
        (DecodeError, "decode"),
        (StreamGapError, "stream_gap"),
        (GaveUpError, "gave_up"),
        (CredentialEndedError, "credential_ended"),
    ]
    kind = next(word for of, word in kinds if isinstance(error, of))
    return {"kind": kind, "code": error.code if kind == "api" else None}


def plain(item: StreamItem) -> Json:
    match item:
        case EventItem():
            return {"event": item.raw}
        case HiddenItem():
            return {"hidden": item.raw}
        case CaughtUpItem():
            return {"caught_up": item.tail}
        case ResetItem():
            return {"reset": {"reason": item.reason, "as_of_seq": item.as_of_seq}}


def compare(play: Json, items: list[StreamItem], error: HeadwaterError | None, cursor: object) -> None:
    expect = play["expect"]
    ignored = expect.get("ignore") or []
    found = [one for one in map(plain, items) if not set(one) & set(ignored)]
    assert found == expect["items"]
    assert told(error) == expect["error"]
    if expect["cursor"] is not None and play["call"]["do"].endswith("stream"):
        assert cursor == expect["cursor"]


def after_play(play: Json, number: str, tokens: Tokens) -> None:
    if play["expect"]["tokens"] is not None:
        assert tokens.asked == play["expect"]["tokens"]
    assert ask(f"/plays/{number}")["complaints"] == []


RETRY = RetryPolicy(base_ms=0)
NAMES = [play["id"] for play in PLAYS]


@pytest.mark.parametrize("play", PLAYS, ids=NAMES)
def test_blocking(play: Json) -> None:
    begun = ask("/plays", {"id": play["id"]})
    call, run, tokens = play["call"], play["expect"]["run"], Tokens()

    def read() -> tuple[list[StreamItem], HeadwaterError | None, object]:
        items: list[StreamItem] = []
        stream: RunStream | None = None
        try:
            match call["do"]:
                case "stream":
                    stream = hw.runs.stream(run, after=call.get("after", 0), **options(call))
                case "create_stream":
                    stream = hw.runs.create_and_stream(agent="assistant", input="hi", **options(call))
                case "get":
                    hw.runs.get(run)
                case "create":
                    hw.runs.create(agent="assistant", input="hi")
            for item in stream or ():
                items.append(item)
        except HeadwaterError as error:
            return items, error, stream and stream.cursor
        return items, None, stream and stream.cursor

    with Headwater(begun["base_url"], retry=RETRY, **credential(call, tokens)) as hw:
        readers = call.get("readers", 1)
        with ThreadPoolExecutor(readers) as pool:
            outcomes = [job.result() for job in [pool.submit(read) for _ in range(readers)]]
    for outcome in outcomes:
        compare(play, *outcome)
    after_play(play, begun["play"], tokens)


@pytest.mark.parametrize("play", PLAYS, ids=NAMES)
async def test_awaiting(play: Json) -> None:
    begun = ask("/plays", {"id": play["id"]})
    call, run, tokens = play["call"], play["expect"]["run"], Tokens()

    async def read() -> tuple[list[StreamItem], HeadwaterError | None, object]:
        items: list[StreamItem] = []
        stream: AsyncRunStream | None = None
        try:
            match call["do"]:
                case "stream":
                    stream = hw.runs.stream(run, after=call.get("after", 0), **options(call))
                case "create_stream":
                    stream = hw.runs.create_and_stream(agent="assistant", input="hi", **options(call))
                case "get":
                    await hw.runs.get(run)
                case "create":
                    await hw.runs.create(agent="assistant", input="hi")
            if stream is not None:
                async for item in stream:
                    items.append(item)
        except HeadwaterError as error:
            return items, error, stream and stream.cursor
        return items, None, stream and stream.cursor

    async with AsyncHeadwater(begun["base_url"], retry=RETRY, **credential(call, tokens)) as hw:
        outcomes = await asyncio.gather(*(read() for _ in range(call.get("readers", 1))))
    for outcome in outcomes:
        compare(play, *outcome)
    after_play(play, begun["play"], tokens)


def test_there_are_plays() -> None:
    assert len(PLAYS) > 100
    assert len(set(NAMES)) == len(NAMES)
