"""Thread runs.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from .._streams import AsyncRunStream, RunStream
from ..types import (
    ContentParam,
    FallbackParam,
    LimitsParam,
    OnBudget,
    OnConflict,
    OnDisconnect,
    Priority,
    ReasoningEffort,
    ResponseFormatParam,
    Run,
    RunBudgetParam,
    ToolChoice,
    ToolParam,
)


class ThreadRunsResource(SyncResource):
    """Thread runs. A method for each operation."""

    def list(
        self,
        thread: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        status: str | None = None,
        agent: str | None = None,
        schedule: str | None = None,
        external_id: str | None = None,
        user: str | None = None,
        parent: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Run]:
        """Lists a thread's runs.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            status: Only with this `status`; several with commas between.
            agent: Only with this `agent`.
            schedule: Only with this `schedule`.
            external_id: Only with this `external_id`.
            user: Only with this `user`.
            parent: Only with this `parent`.
            created_after: Made at this time or later.
            created_before: Made before this time.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Run, _call("GET", ("threads", thread, "runs"), query={"limit": limit, "after": after, "order":
            order, "status": status, "agent": agent, "schedule": schedule, "external_id": external_id, "user": user,
            "parent": parent, "created_after": created_after, "created_before": created_before}, timeout=timeout))

    def create(
        self,
        thread: str,
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
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        wait_ms: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Runs an agent on a thread.

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
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Run, _call("POST", ("threads", thread, "runs"), query={"wait_ms": wait_ms}, body={"agent":
            agent, "agent_version": agent_version, "disconnect_grace_ms": disconnect_grace_ms, "external_id":
            external_id, "fallbacks": fallbacks, "input": input, "instructions": instructions, "limits": limits,
            "max_output_tokens": max_output_tokens, "metadata": metadata, "model": model, "on_budget": on_budget,
            "on_conflict": on_conflict, "on_disconnect": on_disconnect, "priority": priority, "reasoning_effort":
            reasoning_effort, "response_format": response_format, "run_at": run_at, "run_budget": run_budget, "seed":
            seed, "stop": stop, "temperature": temperature, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key, wait_ms=wait_ms, timeout=timeout))

    def create_and_stream(
        self,
        thread: str,
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
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        idempotency_key: str | None = None,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> RunStream:
        """Runs an agent on a thread, and streams what happens. Nothing is sent before the stream is read.

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
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._create_stream(_call("POST", ("threads", thread, "runs"), body={"agent": agent, "agent_version":
            agent_version, "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id, "fallbacks":
            fallbacks, "input": input, "instructions": instructions, "limits": limits, "max_output_tokens":
            max_output_tokens, "metadata": metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict,
            "on_disconnect": on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop,
            "temperature": temperature, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key), attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)


class AsyncThreadRunsResource(AsyncResource):
    """Thread runs. A method for each operation."""

    def list(
        self,
        thread: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        status: str | None = None,
        agent: str | None = None,
        schedule: str | None = None,
        external_id: str | None = None,
        user: str | None = None,
        parent: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Run]:
        """Lists a thread's runs.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            status: Only with this `status`; several with commas between.
            agent: Only with this `agent`.
            schedule: Only with this `schedule`.
            external_id: Only with this `external_id`.
            user: Only with this `user`.
            parent: Only with this `parent`.
            created_after: Made at this time or later.
            created_before: Made before this time.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Run, _call("GET", ("threads", thread, "runs"), query={"limit": limit, "after": after, "order":
            order, "status": status, "agent": agent, "schedule": schedule, "external_id": external_id, "user": user,
            "parent": parent, "created_after": created_after, "created_before": created_before}, timeout=timeout))

    async def create(
        self,
        thread: str,
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
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        wait_ms: int | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Runs an agent on a thread.

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
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            wait_ms: Answer only at the run's end, at its suspension, or after so long: at most 25 000.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Run, _call("POST", ("threads", thread, "runs"), query={"wait_ms": wait_ms},
            body={"agent": agent, "agent_version": agent_version, "disconnect_grace_ms": disconnect_grace_ms,
            "external_id": external_id, "fallbacks": fallbacks, "input": input, "instructions": instructions, "limits":
            limits, "max_output_tokens": max_output_tokens, "metadata": metadata, "model": model, "on_budget":
            on_budget, "on_conflict": on_conflict, "on_disconnect": on_disconnect, "priority": priority,
            "reasoning_effort": reasoning_effort, "response_format": response_format, "run_at": run_at, "run_budget":
            run_budget, "seed": seed, "stop": stop, "temperature": temperature, "tool_choice": tool_choice, "tools":
            tools, "top_p": top_p}, idempotency_key=idempotency_key, wait_ms=wait_ms, timeout=timeout))

    def create_and_stream(
        self,
        thread: str,
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
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        idempotency_key: str | None = None,
        attempts: int = 10,
        retry_ms: int = 2000,
        idle_ms: int = 45_000,
    ) -> AsyncRunStream:
        """Runs an agent on a thread, and streams what happens. Nothing is sent before the stream is read.

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
            tools: Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            attempts: Reconnects in a row that may bring nothing new.
            retry_ms: The pause before a reconnect until the server names one.
            idle_ms: How long a connection may be silent before it counts as broken.
        """
        return self._create_stream(_call("POST", ("threads", thread, "runs"), body={"agent": agent, "agent_version":
            agent_version, "disconnect_grace_ms": disconnect_grace_ms, "external_id": external_id, "fallbacks":
            fallbacks, "input": input, "instructions": instructions, "limits": limits, "max_output_tokens":
            max_output_tokens, "metadata": metadata, "model": model, "on_budget": on_budget, "on_conflict": on_conflict,
            "on_disconnect": on_disconnect, "priority": priority, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_at": run_at, "run_budget": run_budget, "seed": seed, "stop": stop,
            "temperature": temperature, "tool_choice": tool_choice, "tools": tools, "top_p": top_p},
            idempotency_key=idempotency_key), attempts=attempts, retry_ms=retry_ms, idle_ms=idle_ms)
