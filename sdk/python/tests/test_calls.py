"""How calls are written, repeated and refused, with both clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import count
from typing import Any

import pytest

from fake import MODES, FakeServer, Mode, Reply, edge, on, ours, problem
from headwater import (
    ApiError,
    ConfigError,
    ConflictError,
    DecodeError,
    EdgeError,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    TimedOutError,
    TokenError,
    TransportError,
)

pytestmark = pytest.mark.parametrize("mode", MODES)
THREAD = "thr_0193a4b2-0000-7000-8000-000000000001"
FOUND: dict[str, Any] = {"id": THREAD, "object": "thread", "title": None, "metadata": {}, "later_field": 1}
RUN = "run_0193a4b2-0000-7000-8000-000000000001"


def cut(reply: Reply) -> Reply:
    reply.body, reply.ends = reply.body[:20], "broken"
    return reply


TROUBLES: dict[str, Callable[[], Reply]] = {
    "cut before the answer": lambda: Reply(no_head="broken"),
    "cut within the answer": lambda: cut(ours(201, FOUND)),
    "unreachable": lambda: Reply(no_head="unreachable"),
    "slow to connect": lambda: Reply(no_head="slow"),
    "edge 502": lambda: edge(502),
    "edge 503": lambda: edge(503),
    "edge 504": lambda: edge(504),
    "edge 404": lambda: edge(404),
    "429": lambda: problem(429, "rate_limited", retry_after_ms="0", retry_after="50"),
    "503": lambda: problem(503, "draining", retry_after="0"),
    "409": lambda: problem(409, "idempotency_in_progress", retryable=True, retry_after="0"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_passing_trouble_is_repeated_under_one_key(mode: Mode, name: str) -> None:
    server = FakeServer(lambda number, _: TROUBLES[name]() if number < 2 else ours(201, FOUND))
    made = on(mode, server, lambda hw: hw.threads.create(title="T"))
    assert (made.id, made.extra) == (THREAD, {"later_field": 1})
    assert len(server.requests) == 3
    key = server.requests[0].headers["idempotency-key"]
    for request in server.requests:
        assert (request.method, request.path, request.body) == ("POST", "/v1/threads", b'{"title":"T"}')
        assert request.headers["idempotency-key"] == key
    assert server.open == 0


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "invalid_value", ApiError),
        (401, "unauthenticated", ApiError),
        (401, "token_expired", ApiError),
        (404, "not_found", NotFoundError),
        (409, "idempotency_mismatch", ConflictError),
        (500, "internal", ServerError),
    ],
)
def test_a_plain_refusal_is_not_repeated(mode: Mode, status: int, code: str, kind: type[ApiError]) -> None:
    server = FakeServer(lambda _, __: problem(status, code))
    with pytest.raises(kind) as caught:
        on(mode, server, lambda hw: hw.runs.get(RUN))
    error = caught.value
    assert (error.code, error.status, error.request_id, error.detail) == (code, status, "req_x", "so it is")
    assert (len(server.requests), server.open) == (1, 0)


def test_an_edges_own_bug(mode: Mode) -> None:
    server = FakeServer(lambda _, __: edge(500))
    with pytest.raises(EdgeError) as caught:
        on(mode, server, lambda hw: hw.me())
    assert (caught.value.status, len(server.requests)) == (500, 1)


def test_retries_end(mode: Mode) -> None:
    server = FakeServer(lambda _, __: problem(503, "unavailable", retry_after_ms="0"))
    with pytest.raises(ServerError) as caught:
        on(mode, server, lambda hw: hw.me())
    assert (caught.value.code, len(server.requests)) == ("unavailable", 5)

    # Longer than anybody wants to wait for a call.
    server = FakeServer(lambda _, __: problem(429, "rate_limited", retry_after="3600"))
    with pytest.raises(ApiError):
        on(mode, server, lambda hw: hw.me())
    assert len(server.requests) == 1

    server = FakeServer(lambda _, __: Reply(no_head="broken"))
    with pytest.raises(TransportError):
        on(mode, server, lambda hw: hw.me(), retry=RetryPolicy.never())
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [Reply(no_head="silent"), Reply(200, {"request-id": "x"}, b"{", "silent")])
def test_the_time_of_a_call_is_final(mode: Mode, reply: Reply) -> None:
    server = FakeServer(lambda _, __: reply)
    with pytest.raises(TimedOutError):
        on(mode, server, lambda hw: hw.me())
    assert (len(server.requests), server.open) == (1, 0)


def test_deleting_what_is_gone_is_a_success(mode: Mode) -> None:
    replies = [ours(204), problem(404, "not_found"), problem(404, "not_found")]
    server = FakeServer(lambda number, _: replies[number])
    assert on(mode, server, lambda hw: hw.threads.delete(THREAD)) is None
    assert on(mode, server, lambda hw: hw.threads.delete(THREAD)) is None
    assert on(mode, server, lambda hw: hw.tenant_keys.revoke("ten_x", "key_x")) is None
    assert (server.requests[2].method, server.requests[2].path) == ("DELETE", "/v1/tenants/ten_x/keys/key_x")
    server = FakeServer(lambda _, __: problem(403, "forbidden"))
    with pytest.raises(PermissionDeniedError):
        on(mode, server, lambda hw: hw.threads.delete(THREAD))
    # Only what deletes: elsewhere it is an error.
    server = FakeServer(lambda _, __: problem(404, "not_found"))
    with pytest.raises(NotFoundError):
        on(mode, server, lambda hw: hw.runs.cancel(RUN))


def test_headers_paths_and_queries(mode: Mode) -> None:
    server = FakeServer(lambda _, __: problem(403, "forbidden"))

    def refused(act: Callable[[Any], Any]) -> None:
        with pytest.raises(PermissionDeniedError):
            on(mode, server, act, user="alice")

    refused(lambda hw: hw.users.get("a/b?c d%ü"))
    refused(lambda hw: hw.as_user("bob").threads.list(status="idle,busy", order="asc", limit=7).page())
    refused(lambda hw: hw.as_tenant().usage.get(from_="2026-11-01", group_by="day,user").page())
    refused(lambda hw: hw.runs.events(RUN, after="7", limit=100))
    refused(lambda hw: hw.agents.list(archived=True).page("cursor/=+"))
    assert [request.path for request in server.requests] == [
        "/v1/users/a%2Fb%3Fc%20d%25%C3%BC",
        "/v1/threads?limit=7&order=asc&status=idle%2Cbusy",
        "/v1/usage?from=2026-11-01&group_by=day%2Cuser",
        f"/v1/runs/{RUN}/events?after=7&limit=100",
        "/v1/agents?archived=true&after=cursor%2F%3D%2B",
    ]
    users = [request.headers.get("headwater-user") for request in server.requests]
    assert users == ["alice", "bob", None, "alice", "alice"]
    for request in server.requests:
        assert request.headers["authorization"] == "Bearer hw_sk_test"
        assert request.headers["accept"] == "application/json"
        assert request.headers["user-agent"].startswith("headwater-python/")
        assert "idempotency-key" not in request.headers


def archive(name: str, hw: Any) -> Any:
    return hw.agents.archive(name)


def create(key: str, hw: Any) -> Any:
    return hw.runs.create(agent="a", input="b", idempotency_key=key)


def remember(value: object, hw: Any) -> Any:
    return hw.memory.put("k", value=value)


def test_what_cannot_be_sent_is_refused_here(mode: Mode) -> None:
    server = FakeServer(lambda _, __: ours(200, {}))
    acts: list[Callable[[Any], Any]] = [partial(archive, name) for name in ("", ".", "..")]
    acts += [partial(create, key) for key in ("", "a b", "ä", "x" * 256)]
    # A datetime without a zone is no time.
    acts += [partial(remember, value) for value in (float("nan"), object(), datetime(2026, 1, 1))]
    for act in acts:
        with pytest.raises(ConfigError):
            on(mode, server, act)
    with pytest.raises(ConfigError):
        on(mode, server, lambda hw: hw.as_user("a\nb").me())
    assert server.requests == []


@pytest.mark.parametrize("body", [{}, [], "x", {"object": 1}])
def test_an_answer_that_is_no_object_of_ours(mode: Mode, body: Any) -> None:
    server = FakeServer(lambda _, __: ours(200, body))
    with pytest.raises(DecodeError):
        on(mode, server, lambda hw: hw.me())
    with pytest.raises(DecodeError):
        on(mode, server, lambda hw: hw.runs.list().page())


def test_bodies_are_the_apis_own(mode: Mode) -> None:
    server = FakeServer(lambda _, __: problem(403, "forbidden"))
    noon = datetime(2026, 12, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    calls: list[Callable[[Any], Any]] = [
        lambda hw: hw.runs.create(agent="a", input="ü", run_at=noon, model=None),
        lambda hw: hw.tenant.update(metadata={"a": None}),
        lambda hw: hw.threads.create(),
        lambda hw: hw.agents.update("a", activate=False, description=None, if_match='"3"'),
        lambda hw: hw.artifacts.create(b"\x00\x01", media_type="image/png", filename="a b.png"),
        lambda hw: hw.runs.tickets_create(RUN),
    ]
    for act in calls:
        with pytest.raises(PermissionDeniedError):
            on(mode, server, act)
    bodies = [request.body for request in server.requests]
    assert json.loads(bodies[0]) == {
        "agent": "a",
        "input": "ü",
        "run_at": "2026-12-01T12:00:00+01:00",
        "model": None,
    }
    assert [bodies[at] for at in (1, 2, 4, 5)] == [b'{"metadata":{"a":null}}', b"{}", b"\x00\x01", b"{}"]
    assert json.loads(bodies[3]) == {"activate": False, "description": None}
    assert server.requests[3].headers["if-match"] == '"3"'
    assert server.requests[4].headers["content-type"] == "image/png"
    assert server.requests[4].path == "/v1/artifacts?filename=a%20b.png"


def test_what_the_head_told(mode: Mode) -> None:
    server = FakeServer(lambda _, __: ours(200, FOUND, etag='"2"', idempotent_replayed="true"))
    info = on(mode, server, lambda hw: hw.threads.create()).response_info
    assert (info.status, info.request_id, info.etag, info.replayed) == (200, "req_x", '"2"', True)


def test_an_expired_token_is_renewed_once_per_call(mode: Mode) -> None:
    def answer(_: int, request: Any) -> Reply:
        code = "forbidden" if request.headers["authorization"] == "Bearer t1" else "token_expired"
        return problem(403 if code == "forbidden" else 401, code)

    server, numbers = FakeServer(answer), count()

    def thrice(hw: Any) -> Any:
        if mode == "blocking":
            return [_code(hw.me) for _ in range(3)]

        async def go() -> list[str | None]:
            return [await _code_of(hw.me()) for _ in range(3)]

        return go()

    assert on(mode, server, thrice, token=lambda: f"t{next(numbers)}") == ["forbidden"] * 3
    assert (next(numbers), len(server.requests)) == (2, 4)

    with pytest.raises(ApiError) as caught:
        on(mode, server, lambda hw: hw.me(), token=lambda: "stale")
    assert (caught.value.code, len(server.requests)) == ("token_expired", 6)


def _code(act: Callable[[], Any]) -> str | None:
    try:
        act()
    except ApiError as error:
        return error.code
    return None


async def _code_of(act: Any) -> str | None:
    try:
        await act
    except ApiError as error:
        return error.code
    return None


def test_many_calls_renew_a_token_once(mode: Mode) -> None:
    old = threading.Barrier(4)

    def answer(_: int, request: Any) -> Reply:
        if request.headers["authorization"] != "Bearer t0":
            return ours(200, {"object": "principal", "kind": "user"})
        if mode == "blocking":
            # All of them have sent the old token before any is told.
            old.wait(timeout=30)
        return problem(401, "token_expired")

    server, numbers = FakeServer(answer), count()

    def many(hw: Any) -> Any:
        if mode == "blocking":
            with ThreadPoolExecutor(4) as pool:
                return [job.result().kind for job in [pool.submit(hw.me) for _ in range(4)]]

        async def go() -> list[str]:
            return [one.kind for one in await asyncio.gather(*(hw.me() for _ in range(4)))]

        return go()

    assert on(mode, server, many, token=lambda: f"t{next(numbers)}") == ["user"] * 4
    assert next(numbers) == 2


@pytest.mark.parametrize("token", [lambda: 1 / 0, lambda: None, lambda: 7], ids=["raises", "none", "number"])
def test_a_callback_that_fails(mode: Mode, token: Any) -> None:
    server = FakeServer(lambda _, __: ours(200, {}))
    with pytest.raises(TokenError):
        on(mode, server, lambda hw: hw.me(), token=token)
    assert server.requests == []


def test_a_callback_that_awaits(mode: Mode) -> None:
    async def token() -> str:
        await asyncio.sleep(0)
        return "t0"

    server = FakeServer(lambda _, __: ours(200, {"object": "principal", "kind": "user"}))
    if mode == "awaiting":
        assert on(mode, server, lambda hw: hw.me(), token=token).kind == "user"
        assert server.requests[0].headers["authorization"] == "Bearer t0"


def test_no_secret_is_shown(mode: Mode) -> None:
    server = FakeServer(lambda _, __: Reply(no_head="broken"))

    def broken(hw: Any) -> Any:
        assert "hw_sk_secret" not in repr(hw) + repr(hw.runs) + repr(vars(hw))
        return hw.me()

    with pytest.raises(TransportError) as caught:
        on(mode, server, broken, api_key="hw_sk_secret", retry=RetryPolicy.never())
    assert "hw_sk_secret" not in repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    with pytest.raises(ConfigError) as refused:
        on(mode, server, lambda hw: hw.me(), api_key="hw_sk_secret\n")
    assert "hw_sk_secret" not in str(refused.value)
