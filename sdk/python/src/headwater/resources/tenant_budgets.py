"""Tenant budgets.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Budget, BudgetMode, BudgetScopeParam, BudgetWindow, MoneyParam


class TenantBudgetsResource(SyncResource):
    """Tenant budgets. A method for each operation."""

    def list(
        self,
        tenant: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Budget]:
        """Lists a tenant's budgets, its own included.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Budget, _call("GET", ("tenants", tenant, "budgets"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    def create(
        self,
        tenant: str,
        *,
        limit: MoneyParam,
        scope: BudgetScopeParam,
        mode: BudgetMode | Omit = OMIT,
        strict: bool | Omit = OMIT,
        warn_at_percent: int | Omit = OMIT,
        window: BudgetWindow | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Budget:
        """Makes a budget of the operator's for a tenant, who sees it and cannot change it.

        Args:
            limit: How much may be spent in each window.
            scope: Whose calls it covers.
            mode: What happens when it is used up: `hard` if not given.
            strict: Whether a call is taken to cost what its bytes could cost at most.
            warn_at_percent: From which part of the limit on runs are told: 1 to 100, 80 if not given.
            window: What the limit is for: `month` if not given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Budget, _call("POST", ("tenants", tenant, "budgets"), body={"limit": limit, "mode": mode,
            "scope": scope, "strict": strict, "warn_at_percent": warn_at_percent, "window": window},
            idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        tenant: str,
        budget: str,
        *,
        timeout: float | None = None,
    ) -> Budget:
        """One budget of a tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Budget, _call("GET", ("tenants", tenant, "budgets", budget), timeout=timeout))

    def update(
        self,
        tenant: str,
        budget: str,
        *,
        limit: MoneyParam | None | Omit = OMIT,
        mode: BudgetMode | None | Omit = OMIT,
        strict: bool | None | Omit = OMIT,
        warn_at_percent: int | None | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Budget:
        """Changes a budget of the operator's.

        Args:
            limit: How much may be spent. Runs that wait for this budget look again.
            mode: What happens when it is used up.
            strict: Whether a call is taken to cost what its bytes could cost at most.
            warn_at_percent: From which part of the limit on runs are told.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Budget, _call("PATCH", ("tenants", tenant, "budgets", budget), body={"limit": limit, "mode":
            mode, "strict": strict, "warn_at_percent": warn_at_percent}, if_match=if_match, timeout=timeout))

    def delete(
        self,
        tenant: str,
        budget: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a budget of the operator's.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("tenants", tenant, "budgets", budget), timeout=timeout))


class AsyncTenantBudgetsResource(AsyncResource):
    """Tenant budgets. A method for each operation."""

    def list(
        self,
        tenant: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Budget]:
        """Lists a tenant's budgets, its own included.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Budget, _call("GET", ("tenants", tenant, "budgets"), query={"limit": limit, "after": after,
            "order": order}, timeout=timeout))

    async def create(
        self,
        tenant: str,
        *,
        limit: MoneyParam,
        scope: BudgetScopeParam,
        mode: BudgetMode | Omit = OMIT,
        strict: bool | Omit = OMIT,
        warn_at_percent: int | Omit = OMIT,
        window: BudgetWindow | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Budget:
        """Makes a budget of the operator's for a tenant, who sees it and cannot change it.

        Args:
            limit: How much may be spent in each window.
            scope: Whose calls it covers.
            mode: What happens when it is used up: `hard` if not given.
            strict: Whether a call is taken to cost what its bytes could cost at most.
            warn_at_percent: From which part of the limit on runs are told: 1 to 100, 80 if not given.
            window: What the limit is for: `month` if not given.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Budget, _call("POST", ("tenants", tenant, "budgets"), body={"limit": limit, "mode":
            mode, "scope": scope, "strict": strict, "warn_at_percent": warn_at_percent, "window": window},
            idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        tenant: str,
        budget: str,
        *,
        timeout: float | None = None,
    ) -> Budget:
        """One budget of a tenant.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Budget, _call("GET", ("tenants", tenant, "budgets", budget), timeout=timeout))

    async def update(
        self,
        tenant: str,
        budget: str,
        *,
        limit: MoneyParam | None | Omit = OMIT,
        mode: BudgetMode | None | Omit = OMIT,
        strict: bool | None | Omit = OMIT,
        warn_at_percent: int | None | Omit = OMIT,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> Budget:
        """Changes a budget of the operator's.

        Args:
            limit: How much may be spent. Runs that wait for this budget look again.
            mode: What happens when it is used up.
            strict: Whether a call is taken to cost what its bytes could cost at most.
            warn_at_percent: From which part of the limit on runs are told.
            if_match: Only if this is still its `ETag` (`response_info.etag`); else a `ConflictError` with
                `version_conflict`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Budget, _call("PATCH", ("tenants", tenant, "budgets", budget), body={"limit": limit,
            "mode": mode, "strict": strict, "warn_at_percent": warn_at_percent}, if_match=if_match, timeout=timeout))

    async def delete(
        self,
        tenant: str,
        budget: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes a budget of the operator's.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("tenants", tenant, "budgets", budget), timeout=timeout))
