"""Verifies what Headwater sends to a webhook endpoint, as Standard Webhooks have it.

    event = webhooks.verify(request.body, request.headers, secret)

Deliveries come at least once and in no order: `event.id` tells them apart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._model import ApiObject
from .errors import ConfigError, WebhookVerificationError
from .types import Approval, Budget, Run, WebhookEventType

__all__ = ["TOLERANCE_SECONDS", "WebhookEvent", "sign", "verify"]

TOLERANCE_SECONDS = 300
"""How far a delivery's time may be from now, either way."""


@dataclass(frozen=True)
class WebhookEvent:
    """What an endpoint is told."""

    id: str
    """Tells deliveries of the same event (`evt_…`)."""
    type: WebhookEventType
    """What happened, such as `run.completed`."""
    tenant: str
    """Whose."""
    created_at: str
    """When."""
    data: Run | Approval | Budget | None
    """What it is about, as it was when this was sent; `None` for `webhook.test` and kinds of later releases."""
    raw: dict[str, Any] = field(repr=False)
    """The whole body."""


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookEvent:
    """Checks the signature of a delivery and reads it.

    Args:
        payload: The body, byte for byte as it came: parsed and written again it is another one.
        headers: The headers; upper and lower case make no difference.
        secret: The endpoint's secret (`whsec_…`), or several of them, any of which may have signed.
        tolerance: How many seconds its time may be from now.
        now: Seconds since 1970; the clock's unless given.

    Raises:
        WebhookVerificationError: a header is missing, the signature is of nobody known, or the time is too far off.
        ConfigError: the secret is no secret of a webhook.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        id_, timestamp, signatures = (lower[f"webhook-{name}"].strip() for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise WebhookVerificationError(f"there is no {error.args[0]} header") from None
    body = payload.encode("utf-8") if isinstance(payload, str) else bytes(payload)
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise WebhookVerificationError("its timestamp is no number")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise WebhookVerificationError("its timestamp is too far from now")
    secrets = [secret] if isinstance(secret, str) else list(secret)
    due = [_signature(one, id_, timestamp, body).encode("ascii") for one in secrets]
    given = [one.encode("utf-8") for one in signatures.split(" ")]
    # Every one is compared with every other, so that the time taken tells nothing.
    matches = [hmac.compare_digest(one, other) for one in due for other in given]
    if not any(matches):
        raise WebhookVerificationError("no signature fits")
    return _event(body)


def sign(payload: bytes | str, secret: str, id: str, timestamp: int) -> str:
    """The `webhook-signature` of a body: for tests of your own endpoint."""
    body = payload.encode("utf-8") if isinstance(payload, str) else payload
    return _signature(secret, id, str(timestamp), body)


def _signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ConfigError("a webhook's secret is whsec_ and base64")
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


_KINDS: dict[str, type[Run | Approval | Budget]] = {"run": Run, "approval": Approval, "budget": Budget}


def _event(body: bytes) -> WebhookEvent:
    try:
        raw = json.loads(body)
        data = raw["data"]
        kind = _KINDS.get(data.get("object", "")) if isinstance(data, dict) else None
        about = ApiObject.of(kind, data) if kind is not None else None
        return WebhookEvent(raw["id"], raw["type"], raw["tenant"], raw["created_at"], about, raw)
    except (ValueError, KeyError, TypeError):
        raise WebhookVerificationError("it is signed, but no event") from None
