"""The SDK's methods against the API's document, and the two clients against each other."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake import MODES, FakeServer, Mode, on, ours
from headwater import AsyncHeadwater, Headwater, RunStream, types
from headwater._resource import AsyncResource, SyncResource

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT.parent.parent / "docs" / "openapi.json"
OTHERS = ("/api/chat", "/v1/streams", "/v1/responses", "/v1/chat/completions", "/ag-ui", "/v1/ag-ui")
"""Other people's protocols."""
OURS = {"create_and_stream", "stream"}
"""What no operation of the document is."""

needs_document = pytest.mark.skipif(not DOCUMENT.exists(), reason="the document is in the repository only")


def methods(client: type[Any]) -> dict[str, Any]:
    """Every method of every resource, as `resource_verb`."""
    found = {"me": client.me}
    for name, one in inspect.getmembers(client, lambda one: isinstance(one, property)):
        kind = inspect.signature(one.fget, eval_str=True).return_annotation
        if isinstance(kind, type) and issubclass(kind, SyncResource | AsyncResource):
            for verb, method in inspect.getmembers(kind, inspect.isfunction):
                if not verb.startswith("_"):
                    found[f"{name}_{verb}"] = method
    return found


def operations() -> dict[str, dict[str, Any]]:
    paths = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    found = {}
    for path, ways in paths.items():
        if not path.startswith(OTHERS):
            for way, operation in ways.items():
                found[operation["operationId"]] = {**operation, "path": path, "method": way.upper()}
    return found


@needs_document
@pytest.mark.parametrize("client", [Headwater, AsyncHeadwater])
def test_there_is_a_method_for_every_operation_and_no_other(client: type[Any]) -> None:
    there = {name for name in methods(client) if not name.endswith(tuple(OURS))}
    assert there == set(operations())


@needs_document
def test_every_method_asks_for_its_operation() -> None:
    server = FakeServer(lambda _, __: ours(200, {"object": "x", "data": []}))
    hw = server.blocking()
    for name, operation in operations().items():
        server.requests.clear()
        method = hw.me if name == "me" else getattr(getattr(hw, name_of(hw, name)), name[len(name_of(hw, name)) + 1 :])
        given: dict[str, Any] = {}
        for parameter in inspect.signature(method).parameters.values():
            if parameter.default is inspect.Parameter.empty:
                given[parameter.name] = b"x" if parameter.annotation == "bytes" else "x"
        answer = method(**given)
        if hasattr(answer, "page"):
            answer.page()
        (request,) = server.requests
        path = operation["path"]
        while "{" in path:
            path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
        assert (request.method, request.path) == (operation["method"], path), name
        assert ("idempotency-key" in request.headers) == (operation["method"] == "POST"), name


def name_of(hw: Headwater, operation: str) -> str:
    """The resource of an operation: the longest name that there is."""
    parts = operation.split("_")
    names = ["_".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
    return next(name for name in names if hasattr(hw, name))


def test_both_clients_have_the_same_surface() -> None:
    blocking, awaiting = methods(Headwater), methods(AsyncHeadwater)
    assert set(blocking) == set(awaiting)
    for name, method in blocking.items():
        one, other = inspect.signature(method), inspect.signature(awaiting[name])
        assert one.parameters == other.parameters, name
        waits = inspect.iscoroutinefunction(awaiting[name])
        assert waits == (not str(one.return_annotation).startswith(("Listing", "RunStream"))), name
        assert method.__doc__, name


@needs_document
def test_what_is_generated_is_what_the_document_says() -> None:
    found = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


@needs_document
def test_drift_is_found(tmp_path: Path) -> None:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    document["components"]["schemas"]["Run"]["properties"]["moon"] = {"type": "string"}
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check", "--document", str(changed)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "types/objects.py" in found.stderr


def test_everything_that_is_exported_is_there() -> None:
    import headwater

    for module in (headwater, headwater.types, headwater.fold, headwater.webhooks, headwater.errors):
        for name in module.__all__:
            one = getattr(module, name)
            assert one.__doc__ or not isinstance(one, type), name


@pytest.mark.parametrize("mode", MODES)
def test_lists_go_on_to_their_end(mode: Mode) -> None:
    def page(number: int, request: Any) -> Any:
        names = [f"run_{number * 2}", f"run_{number * 2 + 1}"] if number < 2 else ["run_4"]
        cursor = f"c{number + 1}" if number < 2 else None
        data = [{"id": name, "object": "run"} for name in names]
        return ours(200, {"object": "list", "data": data, "has_more": cursor is not None, "next_cursor": cursor})

    def all_of(hw: Any) -> Any:
        listing = hw.runs.list(status="running", limit=2)
        if mode == "blocking":
            return [one.id for one in listing]

        async def go() -> list[str]:
            return [one.id async for one in listing]

        return go()

    server = FakeServer(page)
    assert on(mode, server, all_of) == [f"run_{number}" for number in range(5)]
    paths = [request.path for request in server.requests]
    assert paths[0] == "/v1/runs?limit=2&status=running"
    assert paths[1:] == [f"/v1/runs?limit=2&status=running&after=c{number}" for number in (1, 2)]
    first = on(mode, FakeServer(page), lambda hw: hw.runs.list().page())
    assert (len(first), first.has_more, first.next_cursor, [one.id for one in first]) == (
        2,
        True,
        "c1",
        ["run_0", "run_1"],
    )


def test_a_list_without_pages_is_one_page() -> None:
    server = FakeServer(lambda _, __: ours(200, {"object": "list", "data": [{"id": "m"}], "has_more": True}))
    assert [one.id for one in server.blocking().models.list()] == ["m"]
    assert len(server.requests) == 1


def test_streams_say_where_they_stand() -> None:
    stream = FakeServer(lambda _, __: ours(200)).blocking().runs.stream("run_x", after=3)
    assert isinstance(stream, RunStream)
    assert repr(stream) == "RunStream(run='run_x', cursor=3)"
    assert types.Run.__doc__
