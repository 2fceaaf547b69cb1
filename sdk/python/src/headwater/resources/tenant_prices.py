"""Tenant prices.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._resource import AsyncResource, SyncResource
from ..types import ModelPriceParam, TenantPrices


class TenantPricesResource(SyncResource):
    """Tenant prices. A method for each operation."""

    def get(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> TenantPrices:
        """What a tenant pays otherwise than the table of prices says.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(TenantPrices, _call("GET", ("tenants", tenant, "prices"), timeout=timeout))

    def put(
        self,
        tenant: str,
        *,
        markup_ppm: int | Omit = OMIT,
        models: Mapping[str, ModelPriceParam] | Omit = OMIT,
        timeout: float | None = None,
    ) -> TenantPrices:
        """Sets what a tenant pays from now on. What was settled stays as it was.

        Args:
            markup_ppm: What is added to the table's prices, in millionths: 200000 is a fifth. Not to calls with the
                tenant's own key.
            models: Prices that were agreed upon, by `PROVIDER/model-id`: final, without the mark-up, however much goes
                in.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(TenantPrices, _call("PUT", ("tenants", tenant, "prices"), body={"markup_ppm": markup_ppm,
            "models": models}, timeout=timeout))


class AsyncTenantPricesResource(AsyncResource):
    """Tenant prices. A method for each operation."""

    async def get(
        self,
        tenant: str,
        *,
        timeout: float | None = None,
    ) -> TenantPrices:
        """What a tenant pays otherwise than the table of prices says.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(TenantPrices, _call("GET", ("tenants", tenant, "prices"), timeout=timeout))

    async def put(
        self,
        tenant: str,
        *,
        markup_ppm: int | Omit = OMIT,
        models: Mapping[str, ModelPriceParam] | Omit = OMIT,
        timeout: float | None = None,
    ) -> TenantPrices:
        """Sets what a tenant pays from now on. What was settled stays as it was.

        Args:
            markup_ppm: What is added to the table's prices, in millionths: 200000 is a fifth. Not to calls with the
                tenant's own key.
            models: Prices that were agreed upon, by `PROVIDER/model-id`: final, without the mark-up, however much goes
                in.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(TenantPrices, _call("PUT", ("tenants", tenant, "prices"), body={"markup_ppm":
            markup_ppm, "models": models}, timeout=timeout))
