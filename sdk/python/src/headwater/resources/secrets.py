"""Secrets.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Secret


class SecretsResource(SyncResource):
    """Secrets. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> Listing[Secret]:
        """Lists the names of all secrets: never their values.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Secret, _call("GET", ("secrets",), timeout=timeout))

    def put(
        self,
        name: str,
        *,
        value: str,
        hosts: Sequence[str] | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Secret:
        """Keeps a secret, in place of one of the same name.

        Args:
            value: 1 to 16384 bytes; never shown again.
            hosts: The only hosts that it is sent to, such as `shop.test`; at most 16. `null`: those of the tools that
                name it.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Secret, _call("PUT", ("secrets", name), body={"hosts": hosts, "value": value},
            timeout=timeout))

    def delete(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets a secret. Tools that name it fail from now on.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("secrets", name), timeout=timeout))


class AsyncSecretsResource(AsyncResource):
    """Secrets. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> AsyncListing[Secret]:
        """Lists the names of all secrets: never their values.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Secret, _call("GET", ("secrets",), timeout=timeout))

    async def put(
        self,
        name: str,
        *,
        value: str,
        hosts: Sequence[str] | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Secret:
        """Keeps a secret, in place of one of the same name.

        Args:
            value: 1 to 16384 bytes; never shown again.
            hosts: The only hosts that it is sent to, such as `shop.test`; at most 16. `null`: those of the tools that
                name it.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Secret, _call("PUT", ("secrets", name), body={"hosts": hosts, "value": value},
            timeout=timeout))

    async def delete(
        self,
        name: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Forgets a secret. Tools that name it fail from now on.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("secrets", name), timeout=timeout))
