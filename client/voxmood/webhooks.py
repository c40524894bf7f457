"""Webhooks of a job's end, for those who receive them: whether one is genuine, and what it says.

Servers sign as the Standard Webhooks specification has it (standardwebhooks.com): HMAC-SHA256 of
`<id>.<timestamp>.<body>`, in base64 behind `v1,`, in the header `webhook-signature`.

>>> secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
>>> headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000"}
>>> headers["webhook-signature"] = signature(webhook_key(secret), "msg_1", "1700000000", b"{}")
>>> verify(b"{}", headers, secret, now=1_700_000_060)
'msg_1'
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

from pydantic import ValidationError

from voxmood.documents.jobs import JobDocument
from voxmood.errors import UnverifiedWebhook, WrongWebhookSecret

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET_PREFIX, SCHEME = "whsec_", "v1"
KEY_BYTES = range(24, 65)  # of a secret, as the specification wants them
TOLERANCE_S = 300.0  # by which the clocks of server and receiver may differ, the message's way included


def webhook_key(secret: str) -> bytes:
    """The bytes that sign, of a secret `whsec_…`.

    Raises:
        WrongWebhookSecret: it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters beyond ASCII
        raise WrongWebhookSecret from error
    if len(key) not in KEY_BYTES:
        raise WrongWebhookSecret
    return key


def signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """What a webhook's header says: the scheme and the base64 of HMAC-SHA256."""
    signed = hmac.digest(key, b".".join((event_id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return f"{SCHEME},{base64.b64encode(signed).decode()}"


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> str:
    """Prove that a request comes from a server that knows the secret, and was not kept to be sent again.

    Args:
        body: as it came, before anything parses it.
        headers: as it came; upper and lower case mean the same.
        secret: the server's VOXMOOD_WEBHOOK_SECRET.
        tolerance_s: seconds by which its time may differ from ours.
        now: seconds since 1970; None: the clock's.

    Returns:
        The event's id. The same event may come several times, always with the same id.

    Raises:
        UnverifiedWebhook: it proves nothing, with the reason.
        WrongWebhookSecret: the secret is none.
    """
    key = webhook_key(secret)
    given = {name.lower(): value for name, value in headers.items()}
    for name in (ID, TIMESTAMP, SIGNATURE):
        if name not in given:
            raise UnverifiedWebhook(reason=f"it has no header {name}")
    try:
        sent_at = int(given[TIMESTAMP])
    except ValueError as error:
        raise UnverifiedWebhook(reason=f"{given[TIMESTAMP]!r} is no time") from error
    expected = signature(key, given[ID], given[TIMESTAMP], body).encode()
    # All of them: a server whose secret is being changed signs with the old one and the new.
    if not any(hmac.compare_digest(expected, one.encode()) for one in given[SIGNATURE].split()):
        raise UnverifiedWebhook(reason="its signature is not that of this body and this secret")
    apart = (time.time() if now is None else now) - sent_at
    if abs(apart) > tolerance_s:
        raise UnverifiedWebhook(reason=f"it is of {abs(apart):.0f} s {'ago' if apart > 0 else 'ahead'}")
    return given[ID]


def read_webhook(
    body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_s: float = TOLERANCE_S
) -> JobDocument:
    """The document of the job that has ended, of a request that `verify` finds genuine.

    Raises:
        UnverifiedWebhook: it proves nothing, or its body is no job.
        WrongWebhookSecret: the secret is none.
    """
    verify(body, headers, secret, tolerance_s=tolerance_s)
    try:
        return JobDocument.model_validate_json(body)
    except ValidationError as error:
        raise UnverifiedWebhook(reason="its body is no job's document") from error
