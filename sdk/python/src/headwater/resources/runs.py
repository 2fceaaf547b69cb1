"""Runs.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from .._streams import AsyncRunStream, RunStream
from ..types import (
    ContentParam,
    EventPage,
    FallbackParam,
    InlineThreadParam,
    LimitsParam,
    OnBudget,
    OnConflict,
    OnDisconnect,
    Priority,
    ReasoningEffort,
    ResponseFormatParam,
    Run,
    RunBudgetParam,
    RunExplanation,
    RunSnapshot,
    Ticket,
    ToolChoice,
    ToolOutputParam,
    ToolParam,
)


class RunsResource(SyncResource):
    """Runs. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        status: str | None = None,
        agent: str | None = None,
        thread: str | None = None,
        schedule: str | None = None,
        external_id: str | None = None,
        user: str | None = None,
        parent: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Run]:
        """Lists runs.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            status: Only with this `status`; several with commas between.
            agent: Only with this `agent`.
            thread: Only with this `thread`.
            schedule: Only with this `schedule`.
            external_id: Only with this `external_id`.
            user: Only with this `user`.
            parent: Only with this `parent`.
            created_after: Made at this time or later.
            created_before: Made before this time.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Run, _call("GET", ("runs",), query={"limit": limit, "after": after, "order": order, "status":
            status, "agent": agent, "thread": thread, "schedule": schedule, "external_id": external_id, "user": user,
            "parent": parent, "created_after": created_after, "created_before": created_before}, timeout=timeout))

    def create(
        self,
        *,
        agent: str,
        input: ContentParam,
        agent_version: int | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_at: str | datetime | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        thread: InlineThreadParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        wait_ms: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Runs an agent on a new thread.

        Args:
            agent: Id or name.
            input: A string or parts.
            agent_version: A version other than the active one.
            disconnect_grace_ms: For `grace`.
            external_id: The tenant's own id for the run.
            metadata: Own pairs.
            on_budget: What happens when the budget is used up.
            on_conflict: `reject` or `enqueue`; as the agent says unless given.
            on_disconnect: `continue`; as the agent says unless given.
            run_at: Not before then, within 366 days; what is past means now. Until it is due the run has no place in
                its thread: nothing waits behind it, `on_conflict` means nothing, and what its model sees is the thread
                as it is then.
            thread: Only on `POST /v1/runs`: the new thread.
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("runs",), query={"wait_ms": wait_ms}, body={"agent": agent,
            "agent_version": agent_version, "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id,
            "fallbacks": fallbacks, "input": input, "instructions": instructions, "limits": limits, "max_output_tokens":
            max_output_tokens, "metadata": metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict,
            "on_disconnect": on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop,
            "temperature": temperature, "thread": thread, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key, wait_ms=wait_ms, timeout=timeout))

    def create_and_stream(
        self,
        *,
        agent: str,
        input: ContentParam,
        agent_version: int | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_at: str | datetime | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        thread: InlineThreadParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        idempotency_key: str | None = None,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> RunStream:
        """Runs an agent on a new thread, and streams what happens. Nothing is sent before the stream is read.

        One idempotency key for the whole stream: however often the connection breaks, there is one run.

        Args:
            agent: Id or name.
            input: A string or parts.
            agent_version: A version other than the active one.
            disconnect_grace_ms: For `grace`.
            external_id: The tenant's own id for the run.
            metadata: Own pairs.
            on_budget: What happens when the budget is used up.
            on_conflict: `reject` or `enqueue`; as the agent says unless given.
            on_disconnect: `continue`; as the agent says unless given.
            run_at: Not before then, within 366 days; what is past means now. Until it is due the run has no place in
                its thread: nothing waits behind it, `on_conflict` means nothing, and what its model sees is the thread
                as it is then.
            thread: Only on `POST /v1/runs`: the new thread.
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._create_stream(_call("POST", ("runs",), body={"agent": agent, "agent_version": agent_version,
            "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id, "fallbacks": fallbacks, "input":
            input, "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "metadata":
            metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect":
            on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort, "response_format":
            response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop, "temperature":
            temperature, "thread": thread, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key), attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)

    def get(
        self,
        run: str,
        *,
        wait_ms: int | None = None,
        timeout: float | None = None,
    ) -> RunSnapshot:
        """A run with its messages, exactly as of `as_of_seq`.

        Args:
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(RunSnapshot, _call("GET", ("runs", run), query={"wait_ms": wait_ms}, wait_ms=wait_ms,
            timeout=timeout))

    def call_result(
        self,
        run: str,
        call: str,
        *,
        error: str | None | Omit = OMIT,
        output: Any | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Answers one call.

        Args:
            error: What went wrong, in words for the model; at most 4096 characters.
            output: Any JSON of at most 128 KiB; `null` with `error`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("runs", run, "calls", call, "result"), body={"error": error, "output":
            output}, idempotency_key=idempotency_key, timeout=timeout))

    def cancel(
        self,
        run: str,
        *,
        reason: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Asks for a run's end. On a finished run: the run, unchanged.

        Args:
            reason: For the record; at most 256 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("runs", run, "cancel"), body={"reason": reason},
            idempotency_key=idempotency_key, timeout=timeout))

    def events(
        self,
        run: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> EventPage:
        """A run's events: a stream, or pages with `Accept: application/json`.

        Args:
            after: What follows this `next_cursor`.
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(EventPage, _call("GET", ("runs", run, "events"), query={"after": after, "limit": limit},
            timeout=timeout))

    def stream(
        self,
        run: str,
        *,
        after: int | Literal["now"] = 0,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> RunStream:
        """Streams a run's events, over as many connections as it takes. Nothing is sent before the stream is read.

        Args:
            after: Read what follows this event: 0 is the beginning, "now" only what happens from now on.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._read_stream(run, after=after, attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)

    def explain(
        self,
        run: str,
        *,
        timeout: float | None = None,
    ) -> RunExplanation:
        """What a run waits for, and what it has cost.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(RunExplanation, _call("GET", ("runs", run, "explain"), timeout=timeout))

    def resume(
        self,
        run: str,
        *,
        model: str | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Lets a run go on that waits for money: with another model, with more for itself, or as it is.

        Args:
            model: Another model, from here on.
            run_budget: More for the run itself, where that is what has run out. Upwards only.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("runs", run, "resume"), body={"model": model, "run_budget": run_budget},
            idempotency_key=idempotency_key, timeout=timeout))

    def tickets_create(
        self,
        run: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Ticket:
        """Makes a ticket: a key to this run's events that may stand in a URL. Stores nothing until it is used.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Ticket, _call("POST", ("runs", run, "tickets"), body={}, idempotency_key=idempotency_key,
            timeout=timeout))

    def tool_outputs(
        self,
        run: str,
        *,
        tool_outputs: Sequence[ToolOutputParam],
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Answers several calls: all of them, or none. The run goes on when none is waited for any more.

        Args:
            tool_outputs: 1 to 128; all of them are taken, or none.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("runs", run, "tool_outputs"), body={"tool_outputs": tool_outputs},
            idempotency_key=idempotency_key, timeout=timeout))


class AsyncRunsResource(AsyncResource):
    """Runs. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        status: str | None = None,
        agent: str | None = None,
        thread: str | None = None,
        schedule: str | None = None,
        external_id: str | None = None,
        user: str | None = None,
        parent: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Run]:
        """Lists runs.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            status: Only with this `status`; several with commas between.
            agent: Only with this `agent`.
            thread: Only with this `thread`.
            schedule: Only with this `schedule`.
            external_id: Only with this `external_id`.
            user: Only with this `user`.
            parent: Only with this `parent`.
            created_after: Made at this time or later.
            created_before: Made before this time.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Run, _call("GET", ("runs",), query={"limit": limit, "after": after, "order": order, "status":
            status, "agent": agent, "thread": thread, "schedule": schedule, "external_id": external_id, "user": user,
            "parent": parent, "created_after": created_after, "created_before": created_before}, timeout=timeout))

    async def create(
        self,
        *,
        agent: str,
        input: ContentParam,
        agent_version: int | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_at: str | datetime | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        thread: InlineThreadParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        wait_ms: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Runs an agent on a new thread.

        Args:
            agent: Id or name.
            input: A string or parts.
            agent_version: A version other than the active one.
            disconnect_grace_ms: For `grace`.
            external_id: The tenant's own id for the run.
            metadata: Own pairs.
            on_budget: What happens when the budget is used up.
            on_conflict: `reject` or `enqueue`; as the agent says unless given.
            on_disconnect: `continue`; as the agent says unless given.
            run_at: Not before then, within 366 days; what is past means now. Until it is due the run has no place in
                its thread: nothing waits behind it, `on_conflict` means nothing, and what its model sees is the thread
                as it is then.
            thread: Only on `POST /v1/runs`: the new thread.
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("runs",), query={"wait_ms": wait_ms}, body={"agent": agent,
            "agent_version": agent_version, "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id,
            "fallbacks": fallbacks, "input": input, "instructions": instructions, "limits": limits, "max_output_tokens":
            max_output_tokens, "metadata": metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict,
            "on_disconnect": on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop,
            "temperature": temperature, "thread": thread, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key, wait_ms=wait_ms, timeout=timeout))

    def create_and_stream(
        self,
        *,
        agent: str,
        input: ContentParam,
        agent_version: int | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        metadata: Mapping[str, str] | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_at: str | datetime | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        thread: InlineThreadParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        idempotency_key: str | None = None,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> AsyncRunStream:
        """Runs an agent on a new thread, and streams what happens. Nothing is sent before the stream is read.

        One idempotency key for the whole stream: however often the connection breaks, there is one run.

        Args:
            agent: Id or name.
            input: A string or parts.
            agent_version: A version other than the active one.
            disconnect_grace_ms: For `grace`.
            external_id: The tenant's own id for the run.
            metadata: Own pairs.
            on_budget: What happens when the budget is used up.
            on_conflict: `reject` or `enqueue`; as the agent says unless given.
            on_disconnect: `continue`; as the agent says unless given.
            run_at: Not before then, within 366 days; what is past means now. Until it is due the run has no place in
                its thread: nothing waits behind it, `on_conflict` means nothing, and what its model sees is the thread
                as it is then.
            thread: Only on `POST /v1/runs`: the new thread.
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._create_stream(_call("POST", ("runs",), body={"agent": agent, "agent_version": agent_version,
            "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id, "fallbacks": fallbacks, "input":
            input, "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "metadata":
            metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect":
            on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort, "response_format":
            response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop, "temperature":
            temperature, "thread": thread, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key), attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)

    async def get(
        self,
        run: str,
        *,
        wait_ms: int | None = None,
        timeout: float | None = None,
    ) -> RunSnapshot:
        """A run with its messages, exactly as of `as_of_seq`.

        Args:
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(RunSnapshot, _call("GET", ("runs", run), query={"wait_ms": wait_ms}, wait_ms=wait_ms,
            timeout=timeout))

    async def call_result(
        self,
        run: str,
        call: str,
        *,
        error: str | None | Omit = OMIT,
        output: Any | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Answers one call.

        Args:
            error: What went wrong, in words for the model; at most 4096 characters.
            output: Any JSON of at most 128 KiB; `null` with `error`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("runs", run, "calls", call, "result"), body={"error": error,
            "output": output}, idempotency_key=idempotency_key, timeout=timeout))

    async def cancel(
        self,
        run: str,
        *,
        reason: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Asks for a run's end. On a finished run: the run, unchanged.

        Args:
            reason: For the record; at most 256 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("runs", run, "cancel"), body={"reason": reason},
            idempotency_key=idempotency_key, timeout=timeout))

    async def events(
        self,
        run: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> EventPage:
        """A run's events: a stream, or pages with `Accept: application/json`.

        Args:
            after: What follows this `next_cursor`.
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(EventPage, _call("GET", ("runs", run, "events"), query={"after": after, "limit":
            limit}, timeout=timeout))

    def stream(
        self,
        run: str,
        *,
        after: int | Literal["now"] = 0,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> AsyncRunStream:
        """Streams a run's events, over as many connections as it takes. Nothing is sent before the stream is read.

        Args:
            after: Read what follows this event: 0 is the beginning, "now" only what happens from now on.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._read_stream(run, after=after, attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)

    async def explain(
        self,
        run: str,
        *,
        timeout: float | None = None,
    ) -> RunExplanation:
        """What a run waits for, and what it has cost.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(RunExplanation, _call("GET", ("runs", run, "explain"), timeout=timeout))

    async def resume(
        self,
        run: str,
        *,
        model: str | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Lets a run go on that waits for money: with another model, with more for itself, or as it is.

        Args:
            model: Another model, from here on.
            run_budget: More for the run itself, where that is what has run out. Upwards only.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("runs", run, "resume"), body={"model": model, "run_budget":
            run_budget}, idempotency_key=idempotency_key, timeout=timeout))

    async def tickets_create(
        self,
        run: str,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Ticket:
        """Makes a ticket: a key to this run's events that may stand in a URL. Stores nothing until it is used.

        Args:
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Ticket, _call("POST", ("runs", run, "tickets"), body={},
            idempotency_key=idempotency_key, timeout=timeout))

    async def tool_outputs(
        self,
        run: str,
        *,
        tool_outputs: Sequence[ToolOutputParam],
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Answers several calls: all of them, or none. The run goes on when none is waited for any more.

        Args:
            tool_outputs: 1 to 128; all of them are taken, or none.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("runs", run, "tool_outputs"), body={"tool_outputs": tool_outputs},
            idempotency_key=idempotency_key, timeout=timeout))
