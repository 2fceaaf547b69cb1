"""Models.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Model


class ModelsResource(SyncResource):
    """Models. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> Listing[Model]:
        """The models that agents can use.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Model, _call("GET", ("models",), timeout=timeout))


class AsyncModelsResource(AsyncResource):
    """Models. A method for each operation."""

    def list(
        self,
        *,
        timeout: float | None = None,
    ) -> AsyncListing[Model]:
        """The models that agents can use.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Model, _call("GET", ("models",), timeout=timeout))
