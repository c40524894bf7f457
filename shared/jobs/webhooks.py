"""Webhooks: a job's end, told to an address of its owner's, at least once.

The debt is written in the transaction that ends the job, so an end that is in the database is told, whoever
dies. `take` leases it, `settle` says what came of the try. Killed in between, it is told again once the lease
has run out, under the same event id: by that a receiver knows a repetition. A receiver that fails is tried
again, after pauses that grow to some hours, until a day after the job's end.

A job that runs again (retry, reclassify) owes nothing until it ends again; that end is a new event.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from shared.core.errors.base import VoxmoodError
from shared.core.errors.webhooks import WebhookPrivate, WebhookUnreachable, WrongWebhook
from shared.core.retries import jittered
from shared.core.states import WebhookState
from shared.database import webhooks as rows
from shared.database.sessions import Connection, Database
from shared.database.webhooks import Delivery

# Longer than a try may take: nobody else tries meanwhile.
LEASE_S = 60.0
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 6 * 3600.0
GIVEN_UP_AFTER_S = 86_400.0
# Addresses that a gateway translates to the IPv4 address in their last 32 bits (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")


def check(url: str, private: bool) -> None:
    """WrongWebhook or WebhookPrivate where this address can be seen to be none that could ever be told."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WrongWebhook(url=url, reason=f"it is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise WrongWebhook(url=url, reason="it does not begin with https:// or http:// and a host")
    if port == 0 or not url.isascii() or not url.isprintable() or " " in url:
        raise WrongWebhook(url=url, reason="it has characters or a port that no address has")
    if parts.username is not None or parts.password is not None:
        # Everyone who may see the job would see them.
        raise WrongWebhook(url=f"…@{host}", reason="it has a name or a password in it")
    try:
        ip_address(host)
    except ValueError:
        return  # a name: it is looked up when the job has ended
    _permitted(host, [host], private)


def owe(connection: Connection, database: Database, job_id: int) -> None:
    """The job ends in this transaction: whoever wants to know of it is to be told."""
    rows.owe_delivery(connection, database, job_id, f"msg_{uuid4().hex}")


def due(database: Database, limit: int) -> list[Delivery]:
    """What is to be told now, the oldest first."""
    with database.read() as connection:
        return rows.due_deliveries(connection, database, limit, GIVEN_UP_AFTER_S)


def take(database: Database, delivery: Delivery) -> Delivery | None:
    """The right to try once; None when somebody else tries, or the job runs again."""
    with database.write() as connection:
        return rows.lease_delivery(connection, database, delivery, LEASE_S)


def settle(database: Database, delivery: Delivery, error: VoxmoodError | None, final: bool = False) -> None:
    """What came of a try; final: another would not help. Nothing, if the job has ended anew meanwhile."""
    values: dict[str, Any]
    if error is None:
        values = {"state": WebhookState.DELIVERED, "due_at": None, "error": None}
    elif final or delivery.last:
        values = {"state": WebhookState.GIVEN_UP, "due_at": None, "error": str(error)}
    else:
        pause_s = jittered(FIRST_PAUSE_S, delivery.attempts, LONGEST_PAUSE_S)
        values = {"due_at": database.clock + pause_s, "error": str(error)}
    with database.write() as connection:
        rows.settle_delivery(connection, delivery, **values)


def addresses(host: str, port: int, private: bool) -> list[str]:
    """The IP addresses of a host that may be called; call these, never the name: it may change meanwhile.

    Raises:
        WebhookUnreachable: the name has none.
        WebhookPrivate: all are of this machine or of a private network, and `private` is false.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebhookUnreachable(host=host, reason="its name has no address") from error
    return _permitted(host, list(dict.fromkeys(str(entry[4][0]) for entry in found)), private)


def _permitted(host: str, found: Sequence[str], private: bool) -> list[str]:
    permitted = [address for address in found if private or _is_public(ip_address(address))]
    if not permitted:
        raise WebhookPrivate(host=host, addresses=", ".join(found))
    return permitted


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it leads out into the internet, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return _is_public(IPv4Address(address.packed[-4:]))
        if address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast
