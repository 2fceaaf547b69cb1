"""Doctor.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._resource import AsyncResource, SyncResource
from ..types import Doctor


class DoctorResource(SyncResource):
    """Doctor. A method for each operation."""

    def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Doctor:
        """What the doctor has found, as far as a running server can look.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Doctor, _call("GET", ("doctor",), timeout=timeout))


class AsyncDoctorResource(AsyncResource):
    """Doctor. A method for each operation."""

    async def get(
        self,
        *,
        timeout: float | None = None,
    ) -> Doctor:
        """What the doctor has found, as far as a running server can look.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Doctor, _call("GET", ("doctor",), timeout=timeout))
