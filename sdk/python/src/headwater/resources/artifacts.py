"""Artifacts.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations


from .._core.calls import call as _call
from .._resource import AsyncResource, SyncResource
from ..types import Artifact


class ArtifactsResource(SyncResource):
    """Artifacts. A method for each operation."""

    def create(
        self,
        content: bytes,
        *,
        media_type: str,
        filename: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Artifact:
        """Keeps what is sent, to be shown to a model in a message. It is forgotten after a day in which no message uses it.

        Args:
            content: The bytes.
            media_type: What they are, such as `image/png`.
            filename: At most 255 characters, without `/`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Artifact, _call("POST", ("artifacts",), query={"filename": filename},
            idempotency_key=idempotency_key, content=content, media_type=media_type, timeout=timeout))

    def get(
        self,
        artifact: str,
        *,
        timeout: float | None = None,
    ) -> Artifact:
        """What an artifact is.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Artifact, _call("GET", ("artifacts", artifact), timeout=timeout))

    def content(
        self,
        artifact: str,
        *,
        range: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """What is in it: all, or the one range that is asked for.

        Args:
            range: One range of it, such as `bytes=0-99`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._bytes(_call("GET", ("artifacts", artifact, "content"), range=range, accept="*/*", timeout=timeout))


class AsyncArtifactsResource(AsyncResource):
    """Artifacts. A method for each operation."""

    async def create(
        self,
        content: bytes,
        *,
        media_type: str,
        filename: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Artifact:
        """Keeps what is sent, to be shown to a model in a message. It is forgotten after a day in which no message uses it.

        Args:
            content: The bytes.
            media_type: What they are, such as `image/png`.
            filename: At most 255 characters, without `/`.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Artifact, _call("POST", ("artifacts",), query={"filename": filename},
            idempotency_key=idempotency_key, content=content, media_type=media_type, timeout=timeout))

    async def get(
        self,
        artifact: str,
        *,
        timeout: float | None = None,
    ) -> Artifact:
        """What an artifact is.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Artifact, _call("GET", ("artifacts", artifact), timeout=timeout))

    async def content(
        self,
        artifact: str,
        *,
        range: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """What is in it: all, or the one range that is asked for.

        Args:
            range: One range of it, such as `bytes=0-99`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._bytes(_call("GET", ("artifacts", artifact, "content"), range=range, accept="*/*",
            timeout=timeout))
