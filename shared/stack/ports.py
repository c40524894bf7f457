"""Ports of the loopback that belong to one stack alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"
GRPC_OFFSET = 10_000  # SeaweedFS serves gRPC on each part's port + 10,000, and looks for it there
TRIED = 500  # ports above the usual one


class Ports:
    """Chooses free ports and keeps them for this stack until `release`, or until the process ends.

    Between the choice of a port and the moment when a server listens on it, seconds may pass in which the
    port looks free to another stack that starts. A claim closes this gap: an abstract Unix socket named after
    the port, which the kernel gives to one process and takes back when that ends.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def choose(self, wished: Iterable[int], *, offsets: tuple[int, ...] = (0,)) -> int | None:
        """Claim the first of several ports that is free.

        Args:
            wished: the ports, in order.
            offsets: added to a port, these must be free as well.

        Returns:
            The port; None if none is free.
        """
        return next((port for port in wished if self._claim(port, offsets)), None)

    def release(self) -> None:
        """Give all claims back."""
        while self._claims:
            self._claims.pop().close()

    def _claim(self, port: int, offsets: tuple[int, ...]) -> bool:
        claims = []
        for number in (port + offset for offset in offsets):
            claim = socket.socket(socket.AF_UNIX)
            claims.append(claim)
            try:
                claim.bind(f"\0voxmood-port-{number}")
            except OSError:
                break
            if not is_free(number):
                break
        else:
            self._claims += claims
            return True
        for claim in claims:
            claim.close()
        return False


def candidates(usual: int, last: int | None = None) -> list[int]:
    """The ports to try, in order: the last one that was used, the usual one, and those above it."""
    above = list(range(usual, usual + TRIED))
    return above if last is None else [last, *(port for port in above if port != last)]


def remove_store_sockets(ports: Iterable[int]) -> None:
    """Remove what SeaweedFS leaves in /tmp: one socket after a clean end, all of them after a kill."""
    for port in ports:
        for left in [*store_sockets(port), *store_sockets(port + GRPC_OFFSET)]:
            left.unlink(missing_ok=True)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback."""
    if any(left.lstat().st_uid != os.geteuid() for left in store_sockets(port)):
        return False
    with socket.socket() as probe:
        # As servers do: ports of connections that were just closed (TIME_WAIT) count as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def store_sockets(port: int) -> list[Path]:
    """The sockets of SeaweedFS in /tmp for this port; it cannot start where another user's are left."""
    return list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))  # noqa: S108 - its fixed place
