"""A stream of a run's events that resumes by itself."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any

from ._core.calls import Call
from ._core.streams import follow
from ._core.tracker import Cursor, Tracker
from ._drivers.awaiting import AwaitingApi
from ._drivers.blocking import BlockingApi
from .fold import RunView, TextFollower, fold
from .items import EventItem, StreamItem, StreamStats
from .types import Event

__all__ = ["AsyncRunStream", "RunStream"]


class _Place:
    """Where a stream stands: the same for both."""

    _tracker: Tracker

    @property
    def run(self) -> str | None:
        """The run's id, as soon as it is known."""
        return self._tracker.run

    @property
    def cursor(self) -> Cursor:
        """After which event the stream stands: give it as `after` to go on elsewhere."""
        return self._tracker.cursor

    @property
    def stats(self) -> StreamStats:
        """What the stream has been through."""
        return self._tracker.stats

    def __repr__(self) -> str:
        return f"{type(self).__name__}(run={self.run!r}, cursor={self.cursor!r})"


class RunStream(_Place):
    """A run's events, each exactly once and in order, over as many connections as it takes.

    Iterating over it gives items (`StreamItem`) until the run's terminal event, or raises one error that says why not.
    Leaving the loop, or the `with` block, closes the connection at once, and the run goes on; iterating again goes on
    after the last item. One reader at a time.
    """

    def __init__(self, api: BlockingApi, tracker: Tracker, create: Call | None) -> None:
        self._api, self._tracker, self._create = api, tracker, create
        self._reading: weakref.ref[Generator[Any, None, None]] | None = None

    def __iter__(self) -> Iterator[StreamItem]:
        return self._items()

    def _items(self) -> Generator[StreamItem, None, None]:
        self.close()
        reading = self._api.items(follow(self._api.settings, self._tracker, self._create))
        # Weak, so that whoever leaves a loop lets go of the connection too.
        self._reading = weakref.ref(reading)
        return reading

    def events(self) -> Generator[Event, None, None]:
        """Only the events, parsed."""
        with closing(self._items()) as items:
            for item in items:
                if isinstance(item, EventItem):
                    yield item.event

    def text_deltas(self) -> Generator[str, None, None]:
        """The words of the answer as they come.

        What a reset takes back cannot be taken back here: a user interface folds the items instead (`views`).
        """
        follower = TextFollower(from_the_beginning=self.cursor == 0)
        with closing(self._items()) as items:
            for item in items:
                if text := follower.feed(item):
                    yield text

    def views(self) -> Generator[RunView, None, None]:
        """What a user interface shows, after each item. A stream that begins in the middle shows what follows."""
        view = RunView(run=self.run)
        with closing(self._items()) as items:
            for item in items:
                view = fold(view, item)
                yield view

    def until_done(self) -> RunView:
        """Reads to the end of the run: what came of it."""
        last = RunView(run=self.run)
        for view in self.views():
            last = view
        return last

    def close(self) -> None:
        """Closes the connection. The run goes on. To be called by the thread that reads."""
        reading = self._reading() if self._reading is not None else None
        self._reading = None
        if reading is not None:
            reading.close()

    def __enter__(self) -> RunStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class AsyncRunStream(_Place):
    """A run's events, each exactly once and in order, over as many connections as it takes.

    Iterating over it gives items (`StreamItem`) until the run's terminal event, or raises one error that says why not.
    Leaving the loop, or the `async with` block, or cancelling the task closes the connection at once, and the run goes
    on; iterating again goes on after the last item. One reader at a time.
    """

    def __init__(self, api: AwaitingApi, tracker: Tracker, create: Call | None) -> None:
        self._api, self._tracker, self._create = api, tracker, create
        self._reading: weakref.ref[AsyncGenerator[Any, None]] | None = None

    def __aiter__(self) -> AsyncIterator[StreamItem]:
        return self._items()

    def _items(self) -> AsyncGenerator[StreamItem, None]:
        reading = self._api.items(follow(self._api.settings, self._tracker, self._create))
        # Weak, so that whoever leaves a loop lets go of the connection too.
        self._reading = weakref.ref(reading)
        return reading

    async def events(self) -> AsyncGenerator[Event, None]:
        """Only the events, parsed."""
        async with aclosing(self._items()) as items:
            async for item in items:
                if isinstance(item, EventItem):
                    yield item.event

    async def text_deltas(self) -> AsyncGenerator[str, None]:
        """The words of the answer as they come.

        What a reset takes back cannot be taken back here: a user interface folds the items instead (`views`).
        """
        follower = TextFollower(from_the_beginning=self.cursor == 0)
        async with aclosing(self._items()) as items:
            async for item in items:
                if text := follower.feed(item):
                    yield text

    async def views(self) -> AsyncGenerator[RunView, None]:
        """What a user interface shows, after each item. A stream that begins in the middle shows what follows."""
        view = RunView(run=self.run)
        async with aclosing(self._items()) as items:
            async for item in items:
                view = fold(view, item)
                yield view

    async def until_done(self) -> RunView:
        """Reads to the end of the run: what came of it."""
        last = RunView(run=self.run)
        async for view in self.views():
            last = view
        return last

    async def close(self) -> None:
        """Closes the connection. The run goes on."""
        reading = self._reading() if self._reading is not None else None
        self._reading = None
        if reading is not None:
            await reading.aclose()

    async def __aenter__(self) -> AsyncRunStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
