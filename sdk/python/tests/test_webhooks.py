"""Signatures of webhooks, by the example that the libraries of Standard Webhooks test themselves with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headwater import ConfigError, WebhookVerificationError, webhooks
from headwater.types import Approval, Run

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
EVENT = {
    "id": "evt_x",
    "object": "event",
    "type": "run.completed",
    "tenant": "ten_x",
    "created_at": "2026-11-21T02:30:00.123Z",
    "data": {"object": "run", "id": "run_x", "status": "completed"},
}
BODY = json.dumps(EVENT)


def headers(body: str = BODY, **changes: str) -> dict[str, str]:
    found = {"id": ID, "timestamp": str(AT), "signature": webhooks.sign(body, SECRET, ID, AT)}
    return {f"Webhook-{name.capitalize()}": value for name, value in {**found, **changes}.items() if value != "absent"}


def verify(body: str | bytes = BODY, given: dict[str, str] | None = None, **options: Any) -> webhooks.WebhookEvent:
    return webhooks.verify(body, given or headers(), **{"secret": SECRET, "now": AT, **options})


def test_as_the_libraries_of_the_standard_have_it() -> None:
    signature = webhooks.sign(b'{"test": 2432232314}', SECRET, ID, AT)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_was_signed_is_read() -> None:
    for body in (BODY, BODY.encode()):
        event = verify(body)
        assert (event.id, event.type, event.tenant, event.raw) == ("evt_x", "run.completed", "ten_x", EVENT)
        assert isinstance(event.data, Run)
        assert event.data.status == "completed"


def test_what_it_is_about() -> None:
    approval = json.dumps({**EVENT, "type": "approval.requested", "data": {"object": "approval", "id": "apr_x"}})
    assert isinstance(verify(approval, headers(approval)).data, Approval)
    for data in ({}, None, {"object": "moon"}):
        other = json.dumps({**EVENT, "type": "webhook.test", "data": data})
        assert verify(other, headers(other)).data is None


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"id": "other"}, {}),
        ({"id": "absent"}, {}),
        ({"timestamp": str(AT + 1)}, {}),
        ({"timestamp": "absent"}, {}),
        ({"timestamp": "soon"}, {}),
        ({"timestamp": "-1"}, {}),
        ({"signature": "absent"}, {}),
        ({"signature": ""}, {}),
        ({"signature": "v1,"}, {}),
        ({"signature": "v1,é"}, {}),
        ({"signature": "v2," + webhooks.sign(BODY, SECRET, ID, AT)[3:]}, {}),
        ({}, {"now": AT + 301}),
        ({}, {"now": AT - 301}),
        ({}, {"secret": "whsec_AAAA"}),
        ({}, {"secret": []}),
    ],
)
def test_what_is_not_believed(changes: dict[str, str], options: dict[str, Any]) -> None:
    with pytest.raises(WebhookVerificationError):
        verify(given=headers(**changes), **options)


def test_another_body_is_not_believed() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(BODY + " ")
    nonsense = "[]"
    with pytest.raises(WebhookVerificationError):
        verify(nonsense, headers(nonsense))


def test_one_of_several_signatures_and_secrets_is_enough() -> None:
    good = webhooks.sign(BODY, SECRET, ID, AT)
    for signature in (f"v1,AAAA {good}", f"{good} v1,AAAA", f"v1a,AAAA {good} x"):
        assert verify(given=headers(signature=signature)).id == "evt_x"
    assert verify(secret=["whsec_AAAA", SECRET]).id == "evt_x"
    # The five minutes are within, at both ends.
    assert verify(now=AT + 300).id == verify(now=AT - 300).id == "evt_x"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!"])
def test_a_secret_that_is_none(secret: str) -> None:
    with pytest.raises(ConfigError):
        verify(secret=secret)
