"""Which webhooks are taken for genuine."""

from __future__ import annotations

import base64

import pytest

from voxmood.errors import UnverifiedWebhook, WrongWebhookSecret
from voxmood.webhooks import read_webhook, signature, verify, webhook_key

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"id": 12}'
NOW = 1_700_000_000


def headers(**other: str) -> dict[str, str]:
    """Of a genuine request; underscores stand for dashes."""
    given = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW)}
    given["webhook-signature"] = signature(webhook_key(SECRET), "msg_1", str(NOW), BODY)
    return given | {name.replace("_", "-"): value for name, value in other.items()}


def test_the_example_of_the_specification_is_genuine() -> None:
    """Of the Standard Webhooks specification's own libraries: secret, id, time, body and signature."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    given = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify(body, given, secret, now=1614265330) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_genuine_one_is_known_by_any_of_its_signatures() -> None:
    assert verify(BODY, headers(), SECRET, now=NOW + 299) == "msg_1"
    several = "v1,b2xk v1a,eA== " + headers()["webhook-signature"]
    assert verify(BODY, headers(webhook_signature=several), SECRET, now=NOW - 299) == "msg_1"


@pytest.mark.parametrize(
    ("given", "now", "reason"),
    [
        (headers(webhook_signature="v1,AAAA"), NOW, "its signature is not that"),
        (headers(webhook_signature="v1,ü"), NOW, "its signature is not that"),
        (headers(webhook_id="msg_2"), NOW, "its signature is not that"),
        (headers(webhook_timestamp=str(NOW + 1)), NOW, "its signature is not that"),
        (headers(webhook_timestamp="today"), NOW, "'today' is no time"),
        (headers(), NOW + 301, "it is of 301 s ago"),
        (headers(), NOW - 301, "it is of 301 s ahead"),
        ({"webhook-id": "msg_1"}, NOW, "it has no header webhook-timestamp"),
    ],
)
def test_what_proves_nothing_is_refused(given: dict[str, str], now: int, reason: str) -> None:
    with pytest.raises(UnverifiedWebhook, match=reason):
        verify(BODY, given, SECRET, now=now)


def test_a_body_of_one_other_byte_is_refused() -> None:
    with pytest.raises(UnverifiedWebhook, match="its signature"):
        verify(BODY + b" ", headers(), SECRET, now=NOW)


def test_a_genuine_body_that_is_no_job_is_said_to_be_none() -> None:
    with pytest.raises(UnverifiedWebhook, match="its body is no job's document"):
        read_webhook(BODY, headers(), SECRET, tolerance_s=float("inf"))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_ü", "not base64 at all!", "A" * 400])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(WrongWebhookSecret, match="whsec_ and the base64"):
        webhook_key(secret)
