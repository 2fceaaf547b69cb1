"""Decodes `text/event-stream` from chunks that may be split anywhere.

Promises that the frames do not depend on how the bytes were cut. Memory is bounded: a frame larger than
`MAX_FRAME_BYTES` is an error.

LF and CRLF end a line; a CR alone does not (no face of Headwater writes it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DecodeError

MAX_FRAME_BYTES = 1024 * 1024
"""The largest frame that is read. Headwater's own end at a quarter of it."""

_LARGEST = 2**64 - 1


class Frame(NamedTuple):
    """One block between blank lines."""

    id: int | None = None
    """The `id:`, a sequence number."""
    event: str = ""
    """The `event:`; empty if there is none."""
    data: str | None = None
    """The `data:` lines, joined by LF; `None` where the block dispatches nothing."""
    retry: int | None = None
    """The `retry:`, in milliseconds."""


class Decoder:
    """The state between chunks of one connection."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0
        self._line = 0
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Takes the next chunk and gives each frame that is whole. To be read to its end before the next chunk."""
        self._bytes += chunk
        begin = 0
        while (end := self._bytes.find(b"\n", self._searched)) >= 0:
            blank = end == self._line or (end == self._line + 1 and self._bytes[self._line] == 0x0D)
            self._line = self._searched = end + 1
            if blank:
                block = self._block(begin, end + 1)
                begin = end + 1
                yield _parse(block)
        # Once for a chunk, and not for each frame: a chunk may hold thousands.
        del self._bytes[:begin]
        self._line -= begin
        self._searched = len(self._bytes)
        if len(self._bytes) > MAX_FRAME_BYTES:
            raise _wrong(f"an event is larger than {MAX_FRAME_BYTES} bytes")

    def finish(self) -> int | None:
        """The end of the connection: a block without its end is void, but a `retry:` counts once its line is over."""
        asked = None
        for line in bytes(self._bytes[: self._line]).split(b"\n"):
            name, value = _field(line)
            if name == b"retry" and (number := _number(value)) is not None:
                asked = number
        self._bytes.clear()
        self._searched = self._line = 0
        return asked

    def _block(self, begin: int, end: int) -> bytes:
        if end - begin > MAX_FRAME_BYTES:
            raise _wrong(f"an event is larger than {MAX_FRAME_BYTES} bytes")
        block = bytes(self._bytes[begin:end])
        if not self._begun:
            self._begun = True
            block = block.removeprefix(b"\xef\xbb\xbf")
        return block


def _parse(block: bytes) -> Frame:
    id_: int | None = None
    event = b""
    data: list[bytes] = []
    retry: int | None = None
    for line in block.split(b"\n"):
        name, value = _field(line)
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
        elif name == b"id":
            id_ = _number(value)
            if id_ is None:
                raise _wrong("an event's id is no sequence number")
        elif name == b"retry":
            number = _number(value)
            retry = retry if number is None else number
    try:
        text = b"\n".join(data).decode("utf-8") if data else None
    except UnicodeDecodeError:
        raise _wrong("an event is not UTF-8") from None
    return Frame(id_, event.decode("utf-8", "replace"), text, retry)


def _field(line: bytes) -> tuple[bytes, bytes]:
    """A line's name and value; no name for comments and empty lines."""
    name, _, value = line.removesuffix(b"\r").partition(b":")
    return name, value.removeprefix(b" ")


def _number(value: bytes) -> int | None:
    """A number of digits only, as the standard has it."""
    if not value.isdigit() or len(value) > 32:
        return None
    number = int(value)
    return number if number <= _LARGEST else None


def _wrong(why: str) -> DecodeError:
    return DecodeError("the stream", why)
