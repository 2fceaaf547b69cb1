"""Schedules.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import ContentParam, OnMissed, Run, Schedule


class SchedulesResource(SyncResource):
    """Schedules. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Schedule]:
        """Lists schedules.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Schedule, _call("GET", ("schedules",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    def create(
        self,
        *,
        agent: str,
        cron: str,
        input: ContentParam,
        name: str,
        enabled: bool | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        on_missed: OnMissed | None | Omit = OMIT,
        thread: str | None | Omit = OMIT,
        timezone: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Schedule:
        """Makes a schedule.

        Args:
            agent: The agent, by id or name.
            cron: Five fields: minute, hour, day of the month, month, day of the week.
            input: What is said: text, or parts that are text.
            name: For people: 1 to 128 characters.
            enabled: `true` unless given.
            metadata: At most 16 pairs.
            on_missed: `run_once` unless given.
            thread: A thread of the user; `null` = a new one each time.
            timezone: An IANA name such as `Europe/Berlin`; `UTC` unless given. Where its clocks change, a time that is
                left out comes as late as it would have been, and one that comes twice is met once, or twice if the hour
                is `*`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Schedule, _call("POST", ("schedules",), body={"agent": agent, "cron": cron, "enabled":
            enabled, "input": input, "metadata": metadata, "name": name, "on_missed": on_missed, "thread": thread,
            "timezone": timezone}, idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        schedule: str,
        *,
        timeout: float | None = None,
    ) -> Schedule:
        """A schedule.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Schedule, _call("GET", ("schedules", schedule), timeout=timeout))

    def update(
        self,
        schedule: str,
        *,
        agent: str | None | Omit = OMIT,
        cron: str | None | Omit = OMIT,
        enabled: bool | None | Omit = OMIT,
        input: ContentParam | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        on_missed: OnMissed | None | Omit = OMIT,
        thread: str | None | Omit = OMIT,
        timezone: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Schedule:
        """Changes a schedule. Its next time is counted anew where its times change.

        Args:
            agent: The agent, by id or name.
            cron: When.
            enabled: Whether it makes runs.
            input: What is said.
            metadata: All of the pairs.
            name: For people: 1 to 128 characters.
            on_missed: What becomes of times at which nobody was awake.
            thread: In which thread; `null` = a new one each time.
            timezone: In which time zone.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Schedule, _call("PATCH", ("schedules", schedule), body={"agent": agent, "cron": cron,
            "enabled": enabled, "input": input, "metadata": metadata, "name": name, "on_missed": on_missed, "thread":
            thread, "timezone": timezone}, timeout=timeout))

    def delete(
        self,
        schedule: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a schedule. Runs that it has made stay.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("schedules", schedule), timeout=timeout))

    def trigger(
        self,
        schedule: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Makes a run of a schedule now, beside those of its times.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("schedules", schedule, "trigger"), body={},
            idempotency_key=idempotency_key, timeout=timeout))


class AsyncSchedulesResource(AsyncResource):
    """Schedules. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Schedule]:
        """Lists schedules.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Schedule, _call("GET", ("schedules",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    async def create(
        self,
        *,
        agent: str,
        cron: str,
        input: ContentParam,
        name: str,
        enabled: bool | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        on_missed: OnMissed | None | Omit = OMIT,
        thread: str | None | Omit = OMIT,
        timezone: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Schedule:
        """Makes a schedule.

        Args:
            agent: The agent, by id or name.
            cron: Five fields: minute, hour, day of the month, month, day of the week.
            input: What is said: text, or parts that are text.
            name: For people: 1 to 128 characters.
            enabled: `true` unless given.
            metadata: At most 16 pairs.
            on_missed: `run_once` unless given.
            thread: A thread of the user; `null` = a new one each time.
            timezone: An IANA name such as `Europe/Berlin`; `UTC` unless given. Where its clocks change, a time that is
                left out comes as late as it would have been, and one that comes twice is met once, or twice if the hour
                is `*`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Schedule, _call("POST", ("schedules",), body={"agent": agent, "cron": cron, "enabled":
            enabled, "input": input, "metadata": metadata, "name": name, "on_missed": on_missed, "thread": thread,
            "timezone": timezone}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        schedule: str,
        *,
        timeout: float | None = None,
    ) -> Schedule:
        """A schedule.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Schedule, _call("GET", ("schedules", schedule), timeout=timeout))

    async def update(
        self,
        schedule: str,
        *,
        agent: str | None | Omit = OMIT,
        cron: str | None | Omit = OMIT,
        enabled: bool | None | Omit = OMIT,
        input: ContentParam | None | Omit = OMIT,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        on_missed: OnMissed | None | Omit = OMIT,
        thread: str | None | Omit = OMIT,
        timezone: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Schedule:
        """Changes a schedule. Its next time is counted anew where its times change.

        Args:
            agent: The agent, by id or name.
            cron: When.
            enabled: Whether it makes runs.
            input: What is said.
            metadata: All of the pairs.
            name: For people: 1 to 128 characters.
            on_missed: What becomes of times at which nobody was awake.
            thread: In which thread; `null` = a new one each time.
            timezone: In which time zone.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Schedule, _call("PATCH", ("schedules", schedule), body={"agent": agent, "cron": cron,
            "enabled": enabled, "input": input, "metadata": metadata, "name": name, "on_missed": on_missed, "thread":
            thread, "timezone": timezone}, timeout=timeout))

    async def delete(
        self,
        schedule: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a schedule. Runs that it has made stay.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("schedules", schedule), timeout=timeout))

    async def trigger(
        self,
        schedule: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Makes a run of a schedule now, beside those of its times.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("schedules", schedule, "trigger"), body={},
            idempotency_key=idempotency_key, timeout=timeout))
