"""Notify: job ends are told to those who asked for it, signed as the Standard Webhooks specification says.

The receiver gets the job's document by POST, with `webhook-id` (the same for each repetition of an event;
`Idempotency-Key` says it too), `webhook-timestamp` and, where there is a secret, `webhook-signature`: `v1,`
and the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`. Any answer from 200 to 299 is a receipt; its
body is not read, a redirect not followed. https://www.standardwebhooks.com
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import httpx

from shared.core.errors.base import VoxmoodError
from shared.core.errors.webhooks import (
    WebhookGone,
    WebhookPrivate,
    WebhookRefused,
    WebhookSlow,
    WebhookUnreachable,
)
from shared.database import jobs
from shared.database.webhooks import Delivery
from shared.jobs import status, webhooks
from voxmood.webhooks import signature
from workers.services import Services

log = logging.getLogger(__name__)
# For a whole try, from the look-up of the name to the answer's header.
TRY_S = 10.0
AT_ONCE = 20
_busy = threading.Lock()


def notify(services: Services) -> str:
    """One tick: have what is owed told, by a thread of its own: receivers may be slow, sweeps may not."""
    if not webhooks.due(services.database, 1):
        return "nothing is owed"
    if not _busy.acquire(blocking=False):
        return "still at it"
    # A daemon: what it was telling when this process ends is told again.
    threading.Thread(target=_tell, args=(services,), name="notify", daemon=True).start()
    return "telling"


def _tell(services: Services) -> None:
    try:
        asyncio.run(tell(services))
    except Exception:
        log.exception("job ends could not be told; the next tick tries again")
    finally:
        _busy.release()


async def tell(services: Services) -> None:
    """Tell all that is due, some at once, until nothing is."""
    # It would log each address, and an address may hold a token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Not by a proxy, which would look the name up for itself.
    # A connection serves one request: the next to its address may be of another name, another certificate.
    once = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        timeout=TRY_S, follow_redirects=False, trust_env=False, limits=once
    ) as client:
        while deliveries := await asyncio.to_thread(webhooks.due, services.database, AT_ONCE):
            await asyncio.gather(*(_try(services, client, delivery) for delivery in deliveries))


async def _try(services: Services, client: httpx.AsyncClient, owed: Delivery) -> None:
    delivery = await asyncio.to_thread(webhooks.take, services.database, owed)
    body = await asyncio.to_thread(_document, services, owed.job_id)
    if delivery is None or body is None:
        return
    failure: VoxmoodError | None = None
    try:
        await _post(client, delivery, body, _headers(services, delivery, body))
    except VoxmoodError as error:
        failure = error
        log.info("the end of job %s could not be told: %s", delivery.job_id, error)
    final = isinstance(failure, WebhookPrivate | WebhookGone)
    await asyncio.to_thread(webhooks.settle, services.database, delivery, failure, final)


def _document(services: Services, job_id: int) -> bytes | None:
    """What `GET /v1/jobs/{id}` would answer now; None: the job is gone."""
    with services.database.read() as connection:
        row = jobs.job_row(connection, job_id)
        if row is None:
            return None
        return status.documents(connection, services.database, [row])[0].model_dump_json().encode()


def _headers(services: Services, delivery: Delivery, body: bytes) -> dict[str, str]:
    moment = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "voxmood",
        "Idempotency-Key": delivery.event_id,
        "webhook-id": delivery.event_id,
        "webhook-timestamp": moment,
    }
    if (secret := services.settings.webhook_key) is not None:
        headers["webhook-signature"] = signature(secret, delivery.event_id, moment, body)
    return headers


async def _post(client: httpx.AsyncClient, delivery: Delivery, body: bytes, headers: dict[str, str]) -> None:
    """One request, to an address that was looked at: the connection cannot go elsewhere than it says.

    Raises:
        WebhookPrivate, WebhookUnreachable, WebhookSlow, WebhookRefused, WebhookGone.
    """
    url = httpx.URL(delivery.url)
    host = url.raw_host.decode("ascii")
    headers |= {"Host": url.netloc.decode("ascii")}
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(TRY_S):
            found = await asyncio.to_thread(webhooks.addresses, host, port, delivery.private)
            answer = await _first_answer(client, url, found, body, headers)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise WebhookSlow(host=host, seconds=TRY_S) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WebhookUnreachable(host=host, reason=str(error) or type(error).__name__) from error
    if answer == httpx.codes.GONE:
        raise WebhookGone(host=host)
    if not httpx.codes.is_success(answer):
        raise WebhookRefused(host=host, answer=answer)


async def _first_answer(
    client: httpx.AsyncClient, url: httpx.URL, found: list[str], body: bytes, headers: dict[str, str]
) -> int:
    """The status of the first address that takes a connection."""
    # The certificate must be the name's, not the address's.
    extensions = {"sni_hostname": url.raw_host.decode("ascii")}
    for address in found:
        target = url.copy_with(host=address)
        try:
            async with client.stream(
                "POST", target, content=body, headers=headers, extensions=extensions
            ) as answer:
                return answer.status_code
        except httpx.ConnectError:
            if address == found[-1]:
                raise
    raise AssertionError("unreachable")
