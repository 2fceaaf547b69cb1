"""Against a server in dev mode: HEADWATER_URL, HEADWATER_API_KEY."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import needs
from headwater import (
    AsyncHeadwater,
    ConflictError,
    EventItem,
    Headwater,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    webhooks,
)
from headwater._model import ApiObject
from headwater.fold import view_of
from headwater.types import BudgetScopeParam, Run, ToolParam

LIVE = needs.live()
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.skipif(LIVE is None, reason="HEADWATER_URL and HEADWATER_API_KEY are not set")
PICK: ToolParam = {"type": "client", "name": "pick_file", "description": "Lets the user pick a file.", "policy": "ask"}


@pytest.fixture(name="hw")
def client() -> Iterator[Headwater]:
    with Headwater(user="alice") as hw:
        yield hw


def known(value: Any, where: str = "") -> list[str]:
    """Fields that the document does not name, anywhere in a value."""
    found = []
    if isinstance(value, ApiObject):
        found += [f"{where}{type(value).__name__}.{name}" for name in value.extra]
        for name in value._required | value._optional:
            if name in value._raw:
                found += known(getattr(value, name), where)
    elif isinstance(value, tuple):
        for one in value:
            found += known(one, where)
    return found


def test_an_answer_is_streamed_and_read_again(hw: Headwater) -> None:
    with hw.runs.create_and_stream(agent="assistant", input="Hello", model="scripted/echo") as stream:
        words = "".join(stream.text_deltas())
    assert "Hello" in words
    run = hw.runs.get(str(stream.run))
    assert (run.status, run.result and run.result.text) == ("completed", words)
    whole = [item.raw for item in hw.runs.stream(run.id) if isinstance(item, EventItem)]
    assert len(whole) == run.as_of_seq
    for after in range(len(whole)):
        rest = [item.raw for item in hw.runs.stream(run.id, after=after) if isinstance(item, EventItem)]
        assert rest == whole[after:]
    page = hw.runs.events(run.id, limit=3)
    assert ([event.seq for event in page.data], page.tail, page.has_more) == ([1, 2, 3], len(whole), True)
    assert hw.runs.stream(run.id).until_done().text == view_of(run).text == words


def test_a_reader_lets_go_and_comes_back(hw: Headwater) -> None:
    stream = hw.runs.create_and_stream(agent="assistant", input="Count", model="scripted/tokens-30x20")
    seen = []
    for event in stream.events():
        seen.append(event.seq)
        if event.type == "message.delta":
            break
    for event in stream.events():
        seen.append(event.seq)
    assert seen == list(range(1, len(seen) + 1))
    assert (stream.stats.connections, stream.stats.duplicates) == (2, 0)
    assert hw.runs.get(str(stream.run)).as_of_seq == len(seen)


async def test_the_same_when_it_awaits() -> None:
    async with AsyncHeadwater(user="alice") as hw:
        async with hw.runs.create_and_stream(agent="assistant", input="Hello", model="scripted/echo") as stream:
            words = "".join([text async for text in stream.text_deltas()])
        run = await hw.runs.get(str(stream.run))
        assert run.result is not None
        assert run.result.text == words
        late = [item async for item in hw.runs.stream(run.id, after=3)]
        assert [item.seq for item in late if isinstance(item, EventItem)] == list(range(4, run.as_of_seq + 1))
        assert (await hw.runs.stream(run.id).until_done()).text == words
        names = [one.name async for one in hw.as_tenant().agents.list(limit=1)]
        assert "assistant" in names
        with pytest.raises(NotFoundError) as caught:
            await hw.runs.get("run_0193a4b2-0000-7000-8000-000000000001")
        assert (caught.value.request_id or "").startswith("req_")


def test_a_run_is_made_once(hw: Headwater) -> None:
    key = str(uuid.uuid4())
    first = hw.runs.create(agent="assistant", input="once", idempotency_key=key)
    again = hw.runs.create(agent="assistant", input="once", idempotency_key=key)
    assert first.id == again.id
    assert first.response_info is not None
    assert again.response_info is not None
    assert (first.response_info.replayed, again.response_info.replayed) == (False, True)
    with pytest.raises(ConflictError) as caught:
        hw.runs.create(agent="assistant", input="other", idempotency_key=key)
    assert caught.value.code == "idempotency_mismatch"


def test_a_user_sees_what_is_the_users(hw: Headwater) -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append(hw.as_tenant().user_tokens.create(user="alice", ttl_ms=60_000).token or "")
        return asked[-1]

    with Headwater(token=token) as alice:
        stream = alice.runs.create_and_stream(agent="assistant", input="Hello", model=None)
        items = list(stream)
        assert any(item.kind == "hidden" for item in items), "what it costs is not for users"
        assert alice.me().kind == "user"
        with pytest.raises(PermissionDeniedError):
            alice.users.list().page()
    assert len(asked) == 1


def test_a_run_is_cancelled(hw: Headwater) -> None:
    with hw.runs.create_and_stream(agent="assistant", input="Count", model="scripted/tokens-600x100") as stream:
        for event in stream.events():
            if event.type == "message.delta":
                assert hw.runs.cancel(str(stream.run), reason="seen enough").id == stream.run
    assert hw.runs.get(str(stream.run), wait_ms=10_000).status == "cancelled"


def test_what_is_wrong_is_said(hw: Headwater) -> None:
    with pytest.raises(InvalidValueError) as caught:
        hw.as_tenant().agents.create(name="x", model="scripted/echo", limits={"max_steps": 0})
    assert [(one.param, one.code) for one in caught.value.errors] == [("/limits/max_steps", "invalid_value")]
    assert (caught.value.fault, caught.value.retryable) == ("caller", False)


def test_things_are_made_changed_and_removed(hw: Headwater) -> None:
    thread = hw.threads.create(title="One", metadata={"a": "1", "b": "2"})
    assert hw.threads.update(thread.id, title=None, metadata={"a": None}).metadata == {"b": "2"}
    assert hw.threads.get(thread.id).title is None
    hw.messages.create(thread.id, role="user", content="before")
    run = hw.thread_runs.create(thread.id, agent="assistant", input="now", model="scripted/echo", wait_ms=10_000)
    assert run.status == "completed"
    assert [one.role for one in hw.messages.list(thread.id, order="asc")] == ["user", "user", "assistant"]
    assert [one.id for one in hw.thread_runs.list(thread.id)] == [run.id]
    hw.threads.delete(thread.id)
    hw.threads.delete(thread.id)
    with pytest.raises(NotFoundError):
        hw.threads.get(thread.id)
    key = "a/b?c d%"
    assert hw.memory.put(key, value={"x": [1, None]}).value == {"x": [1, None]}
    assert (hw.memory.get(key).value, [one.key for one in hw.memory.list(prefix="a/")]) == ({"x": [1, None]}, [key])
    hw.memory.delete(key)
    made = hw.artifacts.create(b"\x00\x01\x02", media_type="application/octet-stream", filename="three.bin")
    assert hw.artifacts.content(made.id) == b"\x00\x01\x02"
    assert hw.artifacts.content(made.id, range="bytes=1-1") == b"\x01"


def test_agents_have_versions(hw: Headwater) -> None:
    tenant, name = hw.as_tenant(), f"sdk-{uuid.uuid4().hex[:8]}"
    first = tenant.agents.create(name=name, model="scripted/echo", metadata={"a": "b"})
    second = tenant.agents.update(name, instructions="Rhyme.")
    assert (first.version, second.version, second.instructions) == (1, 2, "Rhyme.")
    assert first.response_info is not None
    stale = tenant.agents.get(name).response_info
    assert stale is not None
    assert tenant.agents.update(name, active_version=1).active_version == 1
    with pytest.raises(ConflictError) as caught:
        tenant.agents.update(name, instructions="No.", if_match=stale.etag)
    assert (caught.value.status, caught.value.code) == (412, "version_conflict")
    assert [one.version for one in tenant.agent_versions.list(name, order="asc")] == [1, 2]
    assert tenant.agent_versions.get(name, 2).instructions == "Rhyme."
    tenant.agents.archive(name)


def test_answers_are_what_the_document_says(hw: Headwater) -> None:
    tenant = hw.as_tenant()
    run = hw.runs.create(agent="assistant", input="Hello", model="scripted/echo", wait_ms=10_000)
    hw.schedules.create(name="digest", agent="assistant", input="Write", cron="0 7 * * 1-5", enabled=False)
    of_user: BudgetScopeParam = {"type": "user", "id": run.user}
    budget = tenant.budgets.create(scope=of_user, limit={"usd": "5"}, window="month", mode="soft")
    values: list[Any] = [run, budget, hw.me(), tenant.tenant.get(), hw.runs.explain(run.id), hw.runs.events(run.id)]
    for listing in (
        hw.runs.list(limit=5),
        hw.threads.list(limit=5),
        hw.messages.list(run.thread),
        hw.approvals.list(limit=5),
        hw.schedules.list(),
        hw.memory.list(),
        tenant.agents.list(),
        tenant.agent_versions.list("assistant"),
        tenant.budgets.list(),
        tenant.models.list(),
        tenant.users.list(),
        tenant.secrets.list(),
        tenant.provider_keys.list(),
        tenant.mcp_servers.list(),
        tenant.webhook_endpoints.list(),
        tenant.usage.get(from_="2026-01-01", group_by="day,user,agent,model"),
        tenant.usage_calls.list(limit=5),
    ):
        values.append(listing.page().data)
    tenant.budgets.delete(budget.id)
    assert known(tuple(values)) == []


def test_the_operators_resources(hw: Headwater) -> None:
    key = os.environ.get("HEADWATER_OPERATOR_KEY")
    if not key:
        pytest.skip("HEADWATER_OPERATOR_KEY is not set")
    with Headwater(api_key=key) as operator:
        tenant = operator.tenants.create(name=f"sdk-{uuid.uuid4().hex[:8]}")
        made = operator.tenant_keys.create(tenant.id, name="backend")
        with Headwater(api_key=str(made.secret)) as other:
            assert other.tenant.get().id == tenant.id
            for run in hw.runs.list(limit=1).page():
                with pytest.raises(NotFoundError):
                    other.runs.get(run.id)
        prices = operator.tenant_prices.get(tenant.id)
        plans = [plan.name for plan in operator.plans.list()]
        assert known((tenant, made, prices)) == []
        assert tenant.plan in plans
        operator.tenant_keys.revoke(tenant.id, made.id)
        operator.tenants.delete(tenant.id)


def test_a_webhook_is_signed(hw: Headwater) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    class Hooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Hooks) as server:
        server.timeout = 30
        tenant = hw.as_tenant()
        port = server.server_address[1]
        made = tenant.webhook_endpoints.create(url=f"http://127.0.0.1:{port}/hooks", events=["run.completed"])
        secrets = [str(made.secret)]
        try:
            hw.runs.create(agent="assistant", input="Hello", model="scripted/echo")
            worker = Thread(target=server.handle_request)
            worker.start()
            worker.join()
            # From now on both sign.
            secrets.append(str(tenant.webhook_endpoints.rotate_secret(made.id).secret))
            tenant.webhook_endpoints.test(made.id)
            worker = Thread(target=server.handle_request)
            worker.start()
            worker.join()
        finally:
            tenant.webhook_endpoints.delete(made.id)
    (first, test) = got
    event = webhooks.verify(first[1], first[0], secrets[0])
    assert event.type == "run.completed"
    assert isinstance(event.data, Run)
    assert event.data.status == "completed"
    for secret in secrets:
        assert webhooks.verify(test[1], test[0], secret).type == "webhook.test"


def example(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_the_example_asks(hw: Headwater) -> None:
    hw.as_tenant().agents.put("sdk-echo", model="scripted/echo")
    found = example("ask.py", "Good morning", "--agent", "sdk-echo")
    assert (found.returncode, found.stderr) == (0, "")
    assert "Good morning" in found.stdout
    assert example("ask.py", "x", "--agent", "nobody").returncode == 1


def test_the_example_lets_go_and_goes_on(hw: Headwater) -> None:
    hw.as_tenant().agents.put("sdk-slow", model="scripted/tokens-40x100")
    command = [sys.executable, "-u", str(EXAMPLES / "ask.py"), "Count", "--agent", "sdk-slow"]
    # What a shell starts in the background ignores the signal, and so would its children. This one is sat before.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, preexec_fn=heeds
    ) as process:
        assert process.stdout is not None
        begun = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        more, said = (one.decode() for one in process.communicate(timeout=60))
    assert process.returncode == 130
    rest = example("ask.py", *said.split("go on with ")[1].split())
    assert (rest.returncode, rest.stderr) == (0, "")
    run = hw.runs.get(said.split("--resume ")[1].split()[0])
    assert run.result is not None
    assert begun.decode() + more + rest.stdout == f"{run.result.text}\n"


@pytest.mark.parametrize(("said", "status"), [("y\n", "approved"), ("not now\n", "denied")])
def test_the_example_decides(hw: Headwater, said: str, status: str) -> None:
    hw.as_tenant().agents.put("sdk-asks", model="scripted/tools", tools=[PICK])
    run = hw.runs.create(agent="sdk-asks", input="Which file?", wait_ms=10_000)
    assert run.status == "suspended"
    found = example("approve.py", "--once", "--run", run.id, stdin=said)
    assert (found.returncode, found.stderr) == (0, "")
    assert status in found.stdout
    (approval,) = hw.approvals.list(run=run.id)
    comment = None if status == "approved" else "not now"
    assert (approval.status, approval.comment, approval.by and approval.by.type) == (status, comment, "tenant")
    after = hw.runs.get(run.id, wait_ms=10_000)
    if status == "approved":
        (call,) = view_of(after).pending_inputs
        hw.runs.call_result(run.id, call.call, output={"file": "notes.txt"})
        after = hw.runs.get(run.id, wait_ms=10_000)
    assert after.status == "completed"
