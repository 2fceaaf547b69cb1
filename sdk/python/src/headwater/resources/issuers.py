"""Issuers.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._core.calls import call as _call
from .._model import OMIT, Omit
from .._pages import AsyncListing, Listing
from .._resource import AsyncResource, SyncResource
from ..types import Issuer, IssuerAlgorithm


class IssuersResource(SyncResource):
    """Issuers. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> Listing[Issuer]:
        """Lists issuers.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Issuer, _call("GET", ("issuers",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    def create(
        self,
        *,
        audience: str,
        issuer: str,
        algorithms: Sequence[IssuerAlgorithm] | None | Omit = OMIT,
        jwks_uri: str | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        user_claim: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Issuer:
        """Adds an issuer.

        Args:
            audience: What tokens have as `aud`: at most 256 characters.
            issuer: What tokens have as `iss`: a URL of at most 512 characters, exactly as it stands there.
            algorithms: 1 to 9; `["RS256", "ES256"]` unless given.
            jwks_uri: Where its keys are; `null`: OpenID Connect Discovery.
            scopes: Of those that user tokens may have; `null` is all of them.
            user_claim: `sub` unless given; at most 64 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Issuer, _call("POST", ("issuers",), body={"algorithms": algorithms, "audience": audience,
            "issuer": issuer, "jwks_uri": jwks_uri, "scopes": scopes, "user_claim": user_claim},
            idempotency_key=idempotency_key, timeout=timeout))

    def get(
        self,
        issuer: str,
        *,
        timeout: float | None = None,
    ) -> Issuer:
        """One issuer.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Issuer, _call("GET", ("issuers", issuer), timeout=timeout))

    def update(
        self,
        issuer: str,
        *,
        algorithms: Sequence[IssuerAlgorithm] | None | Omit = OMIT,
        audience: str | None | Omit = OMIT,
        jwks_uri: str | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        user_claim: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Issuer:
        """Changes an issuer. Tokens that were good before are looked at anew, within seconds on every process.

        Args:
            algorithms: 1 to 9; `["RS256", "ES256"]` unless given.
            audience: What tokens have as `aud`: at most 256 characters.
            jwks_uri: Where its keys are; `null`: OpenID Connect Discovery.
            scopes: Of those that user tokens may have; `null` is all of them.
            user_claim: `sub` unless given; at most 64 characters.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._object(Issuer, _call("PATCH", ("issuers", issuer), body={"algorithms": algorithms, "audience":
            audience, "jwks_uri": jwks_uri, "scopes": scopes, "user_claim": user_claim}, timeout=timeout))

    def delete(
        self,
        issuer: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes an issuer. Its tokens are good for nothing, within seconds on every process; users stay.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._nothing(_call("DELETE", ("issuers", issuer), timeout=timeout))


class AsyncIssuersResource(AsyncResource):
    """Issuers. A method for each operation."""

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        timeout: float | None = None,
    ) -> AsyncListing[Issuer]:
        """Lists issuers.

        Args:
            limit: 1 to 100; 20 unless given.
            after: The page before's `next_cursor`.
            order: `desc` (newest first) or `asc`.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return self._list(Issuer, _call("GET", ("issuers",), query={"limit": limit, "after": after, "order": order},
            timeout=timeout))

    async def create(
        self,
        *,
        audience: str,
        issuer: str,
        algorithms: Sequence[IssuerAlgorithm] | None | Omit = OMIT,
        jwks_uri: str | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        user_claim: str | None | Omit = OMIT,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Issuer:
        """Adds an issuer.

        Args:
            audience: What tokens have as `aud`: at most 256 characters.
            issuer: What tokens have as `iss`: a URL of at most 512 characters, exactly as it stands there.
            algorithms: 1 to 9; `["RS256", "ES256"]` unless given.
            jwks_uri: Where its keys are; `null`: OpenID Connect Discovery.
            scopes: Of those that user tokens may have; `null` is all of them.
            user_claim: `sub` unless given; at most 64 characters.
            idempotency_key: A key of your own (1 to 255 visible ASCII characters), to repeat the call later; a fresh
                one unless given.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Issuer, _call("POST", ("issuers",), body={"algorithms": algorithms, "audience":
            audience, "issuer": issuer, "jwks_uri": jwks_uri, "scopes": scopes, "user_claim": user_claim},
            idempotency_key=idempotency_key, timeout=timeout))

    async def get(
        self,
        issuer: str,
        *,
        timeout: float | None = None,
    ) -> Issuer:
        """One issuer.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Issuer, _call("GET", ("issuers", issuer), timeout=timeout))

    async def update(
        self,
        issuer: str,
        *,
        algorithms: Sequence[IssuerAlgorithm] | None | Omit = OMIT,
        audience: str | None | Omit = OMIT,
        jwks_uri: str | None | Omit = OMIT,
        scopes: Sequence[str] | None | Omit = OMIT,
        user_claim: str | None | Omit = OMIT,
        timeout: float | None = None,
    ) -> Issuer:
        """Changes an issuer. Tokens that were good before are looked at anew, within seconds on every process.

        Args:
            algorithms: 1 to 9; `["RS256", "ES256"]` unless given.
            audience: What tokens have as `aud`: at most 256 characters.
            jwks_uri: Where its keys are; `null`: OpenID Connect Discovery.
            scopes: Of those that user tokens may have; `null` is all of them.
            user_claim: `sub` unless given; at most 64 characters.
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._object(Issuer, _call("PATCH", ("issuers", issuer), body={"algorithms": algorithms,
            "audience": audience, "jwks_uri": jwks_uri, "scopes": scopes, "user_claim": user_claim}, timeout=timeout))

    async def delete(
        self,
        issuer: str,
        *,
        timeout: float | None = None,
    ) -> None:
        """Removes an issuer. Its tokens are good for nothing, within seconds on every process; users stay.

        Args:
            timeout: Seconds that one try may take; as the client says unless given.
        """
        return await self._nothing(_call("DELETE", ("issuers", issuer), timeout=timeout))
