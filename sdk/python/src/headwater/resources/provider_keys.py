"""Provider keys.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import ProviderKey


class ProviderKeysResource(SyncResource):
    """Provider keys. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> Listing[ProviderKey]:
        """Lists the providers at which the tenant has a key of its own.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(ProviderKey, _call("GET", ("provider_keys",), timeout=timeout))

    def put(
        self,
        provider: str,
        *,
        key: str,
        timeout: float | None = None,
    ) -> ProviderKey:
        """Keeps the tenant's own key at a provider, in place of one that was there. Calls use it instead of the platform's, on every
process within 5 s.

        Args:
            key: 1 to 1024 visible ASCII characters; never shown again.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(ProviderKey, _call("PUT", ("provider_keys", provider), body={"key": key}, timeout=timeout))

    def delete(
        self,
        provider: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets a key: calls use the platform's again, on every process within 5 s.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("provider_keys", provider), timeout=timeout))


class AsyncProviderKeysResource(AsyncResource):
    """Provider keys. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> AsyncListing[ProviderKey]:
        """Lists the providers at which the tenant has a key of its own.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(ProviderKey, _call("GET", ("provider_keys",), timeout=timeout))

    async def put(
        self,
        provider: str,
        *,
        key: str,
        timeout: float | None = None,
    ) -> ProviderKey:
        """Keeps the tenant's own key at a provider, in place of one that was there. Calls use it instead of the platform's, on every
process within 5 s.

        Args:
            key: 1 to 1024 visible ASCII characters; never shown again.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(ProviderKey, _call("PUT", ("provider_keys", provider), body={"key": key},
            timeout=timeout))

    async def delete(
        self,
        provider: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets a key: calls use the platform's again, on every process within 5 s.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("provider_keys", provider), timeout=timeout))
