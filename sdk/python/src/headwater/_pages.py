"""Lists: one page, or all of them one after the other, asked for as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from ._core.answers import Page, read_page
from ._core.calls import Call, send
from ._drivers.awaiting import AwaitingApi
from ._drivers.blocking import BlockingApi
from ._model import ApiObject

__all__ = ["AsyncListing", "Listing", "Page"]

M = TypeVar("M", bound=ApiObject)


class Listing(Generic[M]):
    """A list that is read as far as it is iterated over. Nothing is sent before that; iterating again begins anew."""

    def __init__(self, api: BlockingApi, kind: type[M], call: Call) -> None:
        self._api, self._kind, self._call = api, kind, call

    def page(self, after: str | None = None) -> Page[M]:
        """One page: the first one, or what follows this `next_cursor`."""
        call = self._call if after is None else self._call.after(after)
        return read_page(self._kind, self._api.run(send(self._api.settings, call)))

    def pages(self) -> Iterator[Page[M]]:
        """All pages."""
        page = self.page()
        yield page
        while page.has_more:
            page = self.page(page.next_cursor)
            yield page

    def __iter__(self) -> Iterator[M]:
        for page in self.pages():
            yield from page.data


class AsyncListing(Generic[M]):
    """A list that is read as far as it is iterated over. Nothing is sent before that; iterating again begins anew."""

    def __init__(self, api: AwaitingApi, kind: type[M], call: Call) -> None:
        self._api, self._kind, self._call = api, kind, call

    async def page(self, after: str | None = None) -> Page[M]:
        """One page: the first one, or what follows this `next_cursor`."""
        call = self._call if after is None else self._call.after(after)
        return read_page(self._kind, await self._api.run(send(self._api.settings, call)))

    async def pages(self) -> AsyncIterator[Page[M]]:
        """All pages."""
        page = await self.page()
        yield page
        while page.has_more:
            page = await self.page(page.next_cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[M]:
        async for page in self.pages():
            for one in page.data:
                yield one
