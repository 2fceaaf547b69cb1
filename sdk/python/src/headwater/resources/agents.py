"""Agents.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import (
    Agent,
    ApprovalSettingsParam,
    FallbackParam,
    LimitsParam,
    OnBudget,
    OnConflict,
    OnDisconnect,
    OverrideField,
    Priority,
    ReasoningEffort,
    ResponseFormatParam,
    RunBudgetParam,
    TimeoutsParam,
    ToolChoice,
    ToolParam,
    Truncation,
    VisibilityParam,
)


class AgentsResource(SyncResource):
    """Agents. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        archived: bool | None = None,
        timeout: float | None = None,
    ) -> Listing[Agent]:
        """Lists agents.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            archived: Those that are archived, instead of those that are not.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Agent, _call("GET", ("agents",), query={"limit": limit, "after": after, "order": order,
            "archived": archived}, timeout=timeout))

    def create(
        self,
        *,
        name: str,
        model: str,
        metadata: Mapping[str, str] | Omit = OMIT,
        approvals: ApprovalSettingsParam | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        on_budget: OnBudget | Omit = OMIT,
        on_conflict: OnConflict | Omit = OMIT,
        on_disconnect: OnDisconnect | Omit = OMIT,
        parallel_tool_calls: bool | Omit = OMIT,
        priority: Priority | Omit = OMIT,
        prompt_caching: bool | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | Omit = OMIT,
        tool_choice: ToolChoice | Omit = OMIT,
        tools: Sequence[ToolParam] | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | Omit = OMIT,
        user_visibility: VisibilityParam | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Makes an agent, version 1.

        Args:
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            model: `PROVIDER/model-id`.
            metadata: The tenant's own pairs.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Agent, _call("POST", ("agents",), body={"name": name, "metadata": metadata, "approvals":
            approvals, "description": description, "disconnect_grace_ms": disconnect_grace_ms, "fallbacks": fallbacks,
            "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "model": model,
            "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect": on_disconnect, "parallel_tool_calls":
            parallel_tool_calls, "priority": priority, "prompt_caching": prompt_caching, "reasoning_effort":
            reasoning_effort, "response_format": response_format, "run_budget": run_budget, "seed": seed, "stop": stop,
            "temperature": temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools": tools, "top_p":
            top_p, "truncation": truncation, "user_overrides": user_overrides, "user_visibility": user_visibility},
            idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        agent: str,
        *,
        timeout: float | None = None,
    ) -> Agent:
        """One agent, by id or name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Agent, _call("GET", ("agents", agent), timeout=timeout))

    def put(
        self,
        agent: str,
        *,
        model: str,
        metadata: Mapping[str, str] | Omit = OMIT,
        approvals: ApprovalSettingsParam | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        name: str | Omit = OMIT,
        on_budget: OnBudget | Omit = OMIT,
        on_conflict: OnConflict | Omit = OMIT,
        on_disconnect: OnDisconnect | Omit = OMIT,
        parallel_tool_calls: bool | Omit = OMIT,
        priority: Priority | Omit = OMIT,
        prompt_caching: bool | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | Omit = OMIT,
        tool_choice: ToolChoice | Omit = OMIT,
        tools: Sequence[ToolParam] | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | Omit = OMIT,
        user_visibility: VisibilityParam | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Makes the agent of this name, or makes it so. For files and CI: no new version when nothing changes.

        Args:
            model: `PROVIDER/model-id`.
            metadata: The tenant's own pairs.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Agent, _call("PUT", ("agents", agent), body={"metadata": metadata, "approvals": approvals,
            "description": description, "disconnect_grace_ms": disconnect_grace_ms, "fallbacks": fallbacks,
            "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "model": model,
            "name": name, "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect": on_disconnect,
            "parallel_tool_calls": parallel_tool_calls, "priority": priority, "prompt_caching": prompt_caching,
            "reasoning_effort": reasoning_effort, "response_format": response_format, "run_budget": run_budget, "seed":
            seed, "stop": stop, "temperature": temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools":
            tools, "top_p": top_p, "truncation": truncation, "user_overrides": user_overrides, "user_visibility":
            user_visibility}, if_match=if_match, timeout=timeout))

    def update(
        self,
        agent: str,
        *,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        active_version: int | None | Omit = OMIT,
        activate: bool | None | Omit = OMIT,
        approvals: ApprovalSettingsParam | None | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        parallel_tool_calls: bool | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        prompt_caching: bool | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | None | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | None | Omit = OMIT,
        user_visibility: VisibilityParam | None | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Changes an agent; a change of its configuration makes the next version.

        Args:
            metadata: The tenant's own pairs.
            active_version: Another version that there is, instead of a change: rolls back.
            activate: Whether the version that a change makes is the active one from now on; it is unless said
                otherwise.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            model: `PROVIDER/model-id`.
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Agent, _call("PATCH", ("agents", agent), body={"metadata": metadata, "active_version":
            active_version, "activate": activate, "approvals": approvals, "description": description,
            "disconnect_grace_ms": disconnect_grace_ms, "fallbacks": fallbacks, "instructions": instructions, "limits":
            limits, "max_output_tokens": max_output_tokens, "model": model, "name": name, "on_budget": on_budget,
            "on_conflict": on_conflict, "on_disconnect": on_disconnect, "parallel_tool_calls": parallel_tool_calls,
            "priority": priority, "prompt_caching": prompt_caching, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_budget": run_budget, "seed": seed, "stop": stop, "temperature":
            temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools": tools, "top_p": top_p, "truncation":
            truncation, "user_overrides": user_overrides, "user_visibility": user_visibility}, if_match=if_match,
            timeout=timeout))

    def archive(
        self,
        agent: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Archives an agent: no new runs, history stays, its name is free again.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("agents", agent), timeout=timeout))


class AsyncAgentsResource(AsyncResource):
    """Agents. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        archived: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Agent]:
        """Lists agents.

        Args:
            limit: How many on a page: 1 to 100, 20 unless given; of events 1 to 1000.
            after: What follows this `next_cursor`.
            order: `"desc"` (the newest first, unless given) or `"asc"`.
            archived: Those that are archived, instead of those that are not.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Agent, _call("GET", ("agents",), query={"limit": limit, "after": after, "order": order,
            "archived": archived}, timeout=timeout))

    async def create(
        self,
        *,
        name: str,
        model: str,
        metadata: Mapping[str, str] | Omit = OMIT,
        approvals: ApprovalSettingsParam | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        on_budget: OnBudget | Omit = OMIT,
        on_conflict: OnConflict | Omit = OMIT,
        on_disconnect: OnDisconnect | Omit = OMIT,
        parallel_tool_calls: bool | Omit = OMIT,
        priority: Priority | Omit = OMIT,
        prompt_caching: bool | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | Omit = OMIT,
        tool_choice: ToolChoice | Omit = OMIT,
        tools: Sequence[ToolParam] | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | Omit = OMIT,
        user_visibility: VisibilityParam | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Makes an agent, version 1.

        Args:
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            model: `PROVIDER/model-id`.
            metadata: The tenant's own pairs.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Agent, _call("POST", ("agents",), body={"name": name, "metadata": metadata,
            "approvals": approvals, "description": description, "disconnect_grace_ms": disconnect_grace_ms, "fallbacks":
            fallbacks, "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "model":
            model, "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect": on_disconnect,
            "parallel_tool_calls": parallel_tool_calls, "priority": priority, "prompt_caching": prompt_caching,
            "reasoning_effort": reasoning_effort, "response_format": response_format, "run_budget": run_budget, "seed":
            seed, "stop": stop, "temperature": temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools":
            tools, "top_p": top_p, "truncation": truncation, "user_overrides": user_overrides, "user_visibility":
            user_visibility}, idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        agent: str,
        *,
        timeout: float | None = None,
    ) -> Agent:
        """One agent, by id or name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Agent, _call("GET", ("agents", agent), timeout=timeout))

    async def put(
        self,
        agent: str,
        *,
        model: str,
        metadata: Mapping[str, str] | Omit = OMIT,
        approvals: ApprovalSettingsParam | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        name: str | Omit = OMIT,
        on_budget: OnBudget | Omit = OMIT,
        on_conflict: OnConflict | Omit = OMIT,
        on_disconnect: OnDisconnect | Omit = OMIT,
        parallel_tool_calls: bool | Omit = OMIT,
        priority: Priority | Omit = OMIT,
        prompt_caching: bool | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | Omit = OMIT,
        tool_choice: ToolChoice | Omit = OMIT,
        tools: Sequence[ToolParam] | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | Omit = OMIT,
        user_visibility: VisibilityParam | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Makes the agent of this name, or makes it so. For files and CI: no new version when nothing changes.

        Args:
            model: `PROVIDER/model-id`.
            metadata: The tenant's own pairs.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Agent, _call("PUT", ("agents", agent), body={"metadata": metadata, "approvals":
            approvals, "description": description, "disconnect_grace_ms": disconnect_grace_ms, "fallbacks": fallbacks,
            "instructions": instructions, "limits": limits, "max_output_tokens": max_output_tokens, "model": model,
            "name": name, "on_budget": on_budget, "on_conflict": on_conflict, "on_disconnect": on_disconnect,
            "parallel_tool_calls": parallel_tool_calls, "priority": priority, "prompt_caching": prompt_caching,
            "reasoning_effort": reasoning_effort, "response_format": response_format, "run_budget": run_budget, "seed":
            seed, "stop": stop, "temperature": temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools":
            tools, "top_p": top_p, "truncation": truncation, "user_overrides": user_overrides, "user_visibility":
            user_visibility}, if_match=if_match, timeout=timeout))

    async def update(
        self,
        agent: str,
        *,
        metadata: Mapping[str, str | None] | None | Omit = OMIT,
        active_version: int | None | Omit = OMIT,
        activate: bool | None | Omit = OMIT,
        approvals: ApprovalSettingsParam | None | Omit = OMIT,
        description: str | None | Omit = OMIT,
        disconnect_grace_ms: int | None | Omit = OMIT,
        fallbacks: Sequence[FallbackParam] | None | Omit = OMIT,
        instructions: str | None | Omit = OMIT,
        limits: LimitsParam | None | Omit = OMIT,
        max_output_tokens: int | None | Omit = OMIT,
        model: str | None | Omit = OMIT,
        name: str | None | Omit = OMIT,
        on_budget: OnBudget | None | Omit = OMIT,
        on_conflict: OnConflict | None | Omit = OMIT,
        on_disconnect: OnDisconnect | None | Omit = OMIT,
        parallel_tool_calls: bool | None | Omit = OMIT,
        priority: Priority | None | Omit = OMIT,
        prompt_caching: bool | None | Omit = OMIT,
        reasoning_effort: ReasoningEffort | None | Omit = OMIT,
        response_format: ResponseFormatParam | None | Omit = OMIT,
        run_budget: RunBudgetParam | None | Omit = OMIT,
        seed: int | None | Omit = OMIT,
        stop: Sequence[str] | None | Omit = OMIT,
        temperature: float | None | Omit = OMIT,
        timeouts: TimeoutsParam | None | Omit = OMIT,
        tool_choice: ToolChoice | None | Omit = OMIT,
        tools: Sequence[ToolParam] | None | Omit = OMIT,
        top_p: float | None | Omit = OMIT,
        truncation: Truncation | None | Omit = OMIT,
        user_overrides: Sequence[OverrideField] | None | Omit = OMIT,
        user_visibility: VisibilityParam | None | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Agent:
        """Changes an agent; a change of its configuration makes the next version.

        Args:
            metadata: The tenant's own pairs.
            active_version: Another version that there is, instead of a change: rolls back.
            activate: Whether the version that a change makes is the active one from now on; it is unless said
                otherwise.
            approvals: Who may approve.
            description: For people; at most 1024 characters.
            disconnect_grace_ms: For `grace`: 0 to 3 600 000.
            fallbacks: Other models, in order; at most 8.
            instructions: The system prompt; at most 64 KiB.
            limits: Bounds of each run.
            max_output_tokens: 1 to 1 000 000.
            model: `PROVIDER/model-id`.
            name: `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
            on_budget: What happens to a run whose budget is used up.
            on_conflict: What a new run does on a busy thread.
            on_disconnect: What happens when the last reader has gone.
            parallel_tool_calls: Whether it may call several at once.
            priority: Which runs go first.
            prompt_caching: Whether the provider may cache the prompt.
            reasoning_effort: `null` = the provider's default.
            response_format: What the answer has to look like.
            run_budget: Hard limit of each run, those of agents that it calls included.
            seed: For providers that take one.
            stop: At most 4.
            temperature: 0 to 2; `null` = the provider's default.
            timeouts: Bounds of each model call.
            tool_choice: Whether the model calls tools.
            tools: What it can call; at most 128.
            top_p: Above 0, to 1.
            truncation: What happens when the thread does not fit.
            user_overrides: What user tokens may set on a run.
            user_visibility: What end users see.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Agent, _call("PATCH", ("agents", agent), body={"metadata": metadata, "active_version":
            active_version, "activate": activate, "approvals": approvals, "description": description,
            "disconnect_grace_ms": disconnect_grace_ms, "fallbacks": fallbacks, "instructions": instructions, "limits":
            limits, "max_output_tokens": max_output_tokens, "model": model, "name": name, "on_budget": on_budget,
            "on_conflict": on_conflict, "on_disconnect": on_disconnect, "parallel_tool_calls": parallel_tool_calls,
            "priority": priority, "prompt_caching": prompt_caching, "reasoning_effort": reasoning_effort,
            "response_format": response_format, "run_budget": run_budget, "seed": seed, "stop": stop, "temperature":
            temperature, "timeouts": timeouts, "tool_choice": tool_choice, "tools": tools, "top_p": top_p, "truncation":
            truncation, "user_overrides": user_overrides, "user_visibility": user_visibility}, if_match=if_match,
            timeout=timeout))

    async def archive(
        self,
        agent: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Archives an agent: no new runs, history stays, its name is free again.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("agents", agent), timeout=timeout))
