"""The decoder of frames: however the bytes were cut."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from headwater import DecodeError
from headwater._core.sse import MAX_FRAME_BYTES, Decoder, Frame

LF = (
    'retry: 2000\nid: 0000000000000001\nevent: a\ndata: {"x":"ü"}\n\n: hb\n\n'
    "id: 2\nevent: b\ndata: one\ndata:two\ndata\n\n\ndata:  spaced\nunknown: x\n\nretry: 30000\n: waiting"
)
EXPECTED = [
    Frame(1, "a", '{"x":"ü"}', 2000),
    Frame(),
    Frame(2, "b", "one\ntwo\n"),
    Frame(),
    Frame(data=" spaced"),
]


def decode(*chunks: bytes) -> tuple[list[Frame], int | None]:
    decoder = Decoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    return frames, decoder.finish()


@pytest.mark.parametrize("text", [LF, LF.replace("\n", "\r\n"), "\ufeff" + LF], ids=["lf", "crlf", "bom"])
def test_any_two_splits_give_the_same_frames(text: str) -> None:
    data = text.encode()
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            assert decode(data[:first], data[first:second], data[second:]) == (EXPECTED, 30_000), (first, second)
    assert decode(*(bytes([one]) for one in data)) == (EXPECTED, 30_000)


def test_a_half_block_is_void_and_a_half_retry_too() -> None:
    assert decode(b"id: 1\ndata: x\n") == ([], None)
    assert decode(b"retry: 30") == ([], None)
    assert decode(b"retry: 30\n") == ([], 30)


def test_a_carriage_return_alone_ends_no_line() -> None:
    assert decode(b"data: a\rb\n\n") == ([Frame(data="a\rb")], None)


@pytest.mark.parametrize(
    "chunks",
    [
        (b"data: ", b"x" * MAX_FRAME_BYTES),
        (b"data: " + b"x" * MAX_FRAME_BYTES + b"\n\n",),
        (b"id: seven\n\n",),
        (b"id: -1\n\n",),
        (b"id: \n\n",),
        (b"id: 18446744073709551616\n\n",),
        (b"data: \xff\n\n",),
    ],
    ids=["half-large", "large", "word", "negative", "empty", "huge", "utf8"],
)
def test_bounds_and_nonsense(chunks: Iterable[bytes]) -> None:
    with pytest.raises(DecodeError):
        decode(*chunks)


def test_ids_are_numbers_however_they_are_written() -> None:
    assert decode(b"id: 18446744073709551615\n\nid: 007\n\nid:7\n\n") == (
        [Frame(18446744073709551615), Frame(7), Frame(7)],
        None,
    )


def test_nonsense_in_retry_is_ignored() -> None:
    assert decode(b"retry: 5\nretry: soon\ndata: x\n\n") == ([Frame(data="x", retry=5)], None)
