"""Plans.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import BudgetParamsParam, Plan


class PlansResource(SyncResource):
    """Plans. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> Listing[Plan]:
        """All plans, by name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Plan, _call("GET", ("plans",), timeout=timeout))

    def get(
        self,
        plan: str,
        *,
        timeout: float | None = None,
    ) -> Plan:
        """One plan.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Plan, _call("GET", ("plans", plan), timeout=timeout))

    def put(
        self,
        plan: str,
        *,
        allowed_models: Sequence[str] | None | Omit = OMIT,
        budgets: Sequence[BudgetParamsParam] | Omit = OMIT,
        max_active_runs: int | None | Omit = OMIT,
        max_open_streams: int | None | Omit = OMIT,
        max_queued_runs: int | None | Omit = OMIT,
        max_suspended_runs: int | None | Omit = OMIT,
        requests_per_minute: int | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        weight: int | Omit = OMIT,
        timeout: float | None = None,
    ) -> Plan:
        """Makes a plan, or changes it for all tenants that are on it. Every process knows within seconds.

        Args:
            allowed_models: Models that may be called: `PROVIDER/model-id`, or `PROVIDER/*`. `null`: all.
            budgets: Budgets that every tenant of the plan has: of the whole tenant, or of each of its users.
            max_active_runs: Runs under way.
            max_open_streams: Open streams.
            max_queued_runs: Runs that wait for a place.
            max_suspended_runs: Runs that are suspended, for whatever they wait: with so many no new one is accepted.
            requests_per_minute: Requests per minute, of all keys and users together.
            retention_ms: The longest that a run's deltas are kept after its end, whatever the tenant has set.
            weight: A tenant's share where tenants wait for the same model, beside others' weights: 1 to 1000, 1 if not
                given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Plan, _call("PUT", ("plans", plan), body={"allowed_models": allowed_models, "budgets":
            budgets, "max_active_runs": max_active_runs, "max_open_streams": max_open_streams, "max_queued_runs":
            max_queued_runs, "max_suspended_runs": max_suspended_runs, "requests_per_minute": requests_per_minute,
            "retention_ms": retention_ms, "weight": weight}, timeout=timeout))


class AsyncPlansResource(AsyncResource):
    """Plans. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> AsyncListing[Plan]:
        """All plans, by name.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Plan, _call("GET", ("plans",), timeout=timeout))

    async def get(
        self,
        plan: str,
        *,
        timeout: float | None = None,
    ) -> Plan:
        """One plan.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Plan, _call("GET", ("plans", plan), timeout=timeout))

    async def put(
        self,
        plan: str,
        *,
        allowed_models: Sequence[str] | None | Omit = OMIT,
        budgets: Sequence[BudgetParamsParam] | Omit = OMIT,
        max_active_runs: int | None | Omit = OMIT,
        max_open_streams: int | None | Omit = OMIT,
        max_queued_runs: int | None | Omit = OMIT,
        max_suspended_runs: int | None | Omit = OMIT,
        requests_per_minute: int | None | Omit = OMIT,
        retention_ms: int | None | Omit = OMIT,
        weight: int | Omit = OMIT,
        timeout: float | None = None,
    ) -> Plan:
        """Makes a plan, or changes it for all tenants that are on it. Every process knows within seconds.

        Args:
            allowed_models: Models that may be called: `PROVIDER/model-id`, or `PROVIDER/*`. `null`: all.
            budgets: Budgets that every tenant of the plan has: of the whole tenant, or of each of its users.
            max_active_runs: Runs under way.
            max_open_streams: Open streams.
            max_queued_runs: Runs that wait for a place.
            max_suspended_runs: Runs that are suspended, for whatever they wait: with so many no new one is accepted.
            requests_per_minute: Requests per minute, of all keys and users together.
            retention_ms: The longest that a run's deltas are kept after its end, whatever the tenant has set.
            weight: A tenant's share where tenants wait for the same model, beside others' weights: 1 to 1000, 1 if not
                given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Plan, _call("PUT", ("plans", plan), body={"allowed_models": allowed_models, "budgets":
            budgets, "max_active_runs": max_active_runs, "max_open_streams": max_open_streams, "max_queued_runs":
            max_queued_runs, "max_suspended_runs": max_suspended_runs, "requests_per_minute": requests_per_minute,
            "retention_ms": retention_ms, "weight": weight}, timeout=timeout))
