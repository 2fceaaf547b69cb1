"""What the generated resources are made of."""

from __future__ import annotations

from typing import TypeVar

from ._core.answers import read_object
from ._core.calls import Answer, Call, send
from ._core.commands import Flow
from ._core.tracker import Cursor, StreamOptions, Tracker
from ._drivers.awaiting import AwaitingApi
from ._drivers.blocking import BlockingApi
from ._model import ApiObject
from ._pages import AsyncListing, Listing
from ._streams import AsyncRunStream, RunStream
from .errors import ApiError

M = TypeVar("M", bound=ApiObject)


def _removed(flow: Flow[Answer]) -> Flow[None]:
    """A delete: what is not there (any more) is deleted, so that it may be repeated."""
    try:
        yield from flow
    except ApiError as error:
        if error.status != 404:
            raise


def _done(flow: Flow[Answer]) -> Flow[None]:
    yield from flow


class SyncResource:
    """A resource of the client that blocks."""

    def __init__(self, api: BlockingApi) -> None:
        self._api = api

    def _object(self, kind: type[M], call: Call) -> M:
        return read_object(kind, self._api.run(send(self._api.settings, call)))

    def _bytes(self, call: Call) -> bytes:
        return self._api.run(send(self._api.settings, call)).body

    def _nothing(self, call: Call) -> None:
        flow = send(self._api.settings, call)
        self._api.run(_removed(flow) if call.method == "DELETE" else _done(flow))

    def _list(self, kind: type[M], call: Call) -> Listing[M]:
        return Listing(self._api, kind, call)

    def _read_stream(self, run: str, *, after: Cursor, attempts: int, retry_ms: int, idle_ms: int) -> RunStream:
        options = StreamOptions(after, attempts, retry_ms, idle_ms)
        return RunStream(self._api, Tracker(run, options, self._api.settings.retry.base_ms / 1000), None)

    def _create_stream(self, call: Call, *, attempts: int, retry_ms: int, idle_ms: int) -> RunStream:
        options = StreamOptions(0, attempts, retry_ms, idle_ms)
        return RunStream(self._api, Tracker(None, options, self._api.settings.retry.base_ms / 1000), call)


class AsyncResource:
    """A resource of the client that awaits."""

    def __init__(self, api: AwaitingApi) -> None:
        self._api = api

    async def _object(self, kind: type[M], call: Call) -> M:
        return read_object(kind, await self._api.run(send(self._api.settings, call)))

    async def _bytes(self, call: Call) -> bytes:
        return (await self._api.run(send(self._api.settings, call))).body

    async def _nothing(self, call: Call) -> None:
        flow = send(self._api.settings, call)
        await self._api.run(_removed(flow) if call.method == "DELETE" else _done(flow))

    def _list(self, kind: type[M], call: Call) -> AsyncListing[M]:
        return AsyncListing(self._api, kind, call)

    def _read_stream(self, run: str, *, after: Cursor, attempts: int, retry_ms: int, idle_ms: int) -> AsyncRunStream:
        options = StreamOptions(after, attempts, retry_ms, idle_ms)
        return AsyncRunStream(self._api, Tracker(run, options, self._api.settings.retry.base_ms / 1000), None)

    def _create_stream(self, call: Call, *, attempts: int, retry_ms: int, idle_ms: int) -> AsyncRunStream:
        options = StreamOptions(0, attempts, retry_ms, idle_ms)
        return AsyncRunStream(self._api, Tracker(None, options, self._api.settings.retry.base_ms / 1000), call)
