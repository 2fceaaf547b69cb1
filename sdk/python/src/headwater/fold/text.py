"""The words of a run, as pieces that can be printed one after the other."""

from __future__ import annotations

from ..items import EventItem, ResetItem, StreamItem
from ..types import MessageCompletedEvent, MessageDeltaEvent, MessageStartedEvent, StepResetEvent
from .snapshot import message_views

_TELLING = ("message.started", "message.delta", "message.completed", "step.reset")


class TextFollower:
    """Gives of each item the words that are new.

    Of a message whose deltas were not seen, the words come whole when it is completed; but if the stream does not begin
    at the beginning of the log, only where the message did within it: the rest may have been read before. What a
    `step.reset` takes back has been given by then; the words that follow are given on a new line.
    """

    def __init__(self, *, from_the_beginning: bool = True) -> None:
        self._from_the_beginning = from_the_beginning
        self._begun: set[str] = set()
        self._given: dict[str, str] = {}
        self._break = False

    def feed(self, item: StreamItem) -> str:
        """The new words; empty if there are none."""
        if isinstance(item, ResetItem):
            views = message_views(item.snapshot.messages)
            return "".join(self._whole(message.id, message.text) for message in views)
        if not isinstance(item, EventItem) or item.type not in _TELLING:
            return ""
        event = item.event
        if isinstance(event, MessageStartedEvent):
            self._begun.add(event.message)
        if isinstance(event, MessageDeltaEvent):
            return self._give(event.message, event.delta)
        if isinstance(event, MessageCompletedEvent) and (self._from_the_beginning or event.message in self._begun):
            return self._whole(event.message, event.text)
        if isinstance(event, StepResetEvent):
            self._break = any(self._given.pop(message, "") for message in event.messages)
        return ""

    def _whole(self, message: str, text: str) -> str:
        given = self._given.get(message, "")
        return self._give(message, text[len(given) :]) if text.startswith(given) else ""

    def _give(self, message: str, words: str) -> str:
        if not words:
            return ""
        fresh = message not in self._given
        self._given[message] = self._given.get(message, "") + words
        apart = ""
        if fresh and (len(self._given) > 1 or self._break):
            apart, self._break = "\n\n", False
        return apart + words
