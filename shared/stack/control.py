"""Control a stack from outside: move it to the background, see what it waits for, end it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time

import httpx
from pydantic import ValidationError

from shared.core.errors.stack import AlreadyRunning, NotRunning
from shared.stack.processes import end_leftovers
from shared.stack.state import Identity, Record, StateFolder
from shared.stack.supervisor import Supervisor
from voxmood.documents import Readiness

log = logging.getLogger("voxmood.stack")

END_LIMIT_S = 60.0  # longer than the graces of all programs together
RECORD_LIMIT_S = 10.0


def detach(supervisor: Supervisor) -> int:
    """Run the supervisor in a process of its own, in a session without a terminal.

    Returns:
        The process number.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        supervisor.release()
        return pid
    status = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        output = os.open(supervisor.folder.log("supervisor"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(nowhere, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        supervisor.run()
        status = 0
    except BaseException:
        log.exception("the supervisor ended")
    finally:
        os._exit(status)


def local_client() -> httpx.Client:
    """An HTTP client for `waited_for`, which ignores proxies of the environment.

    A proxy cannot reach the loopback of this machine.
    """
    return httpx.Client(trust_env=False, timeout=2.0)


def waited_for(record: Record, client: httpx.Client) -> list[str]:
    """The programs that are not ready, by GET /health/ready, Flower and the page; empty when all are.

    Args:
        record: of the stack.
        client: from `local_client`.
    """
    try:
        health = Readiness.model_validate_json(client.get(f"{record.api_url}/health/ready").content)
    except (httpx.HTTPError, ValidationError):
        return ["api"]
    answers = {"database": health.database, "queue": health.queue, "store": health.store, **health.consuming}
    missing = [program for program, ready in answers.items() if ready is False]
    if not health.ready and not missing:
        return ["api"]
    beside = {"flower": f"{record.flower_url}/healthcheck", "page": f"{record.page_url}/_stcore/health"}
    for program, url in beside.items():
        try:
            client.get(url).raise_for_status()
        except httpx.HTTPError:
            missing.append(program)
    return missing


def end(folder: StateFolder) -> list[str]:
    """End the stack on this folder: its supervisor ends the programs, and what is left then is killed.

    Returns:
        The programs of which something had to be killed.

    Raises:
        NotRunning: there is none.
    """
    supervisor = _supervisor(folder)
    if supervisor:
        _end_process(supervisor)
    elif not folder.path.exists():
        raise NotRunning(state_dir=folder.path)
    try:
        folder.lock()
    except AlreadyRunning:
        return []  # another `up` has begun; it ends what is left
    try:
        record = folder.record()
        left = end_leftovers(record.children, folder.path) if record else []
    finally:
        folder.unlock()
    if not supervisor and not left:
        raise NotRunning(state_dir=folder.path)
    return left


def _supervisor(folder: StateFolder) -> Identity | None:
    """The holder of the folder's lock, who takes it a moment before it writes its identity."""
    deadline = time.monotonic() + RECORD_LIMIT_S
    while folder.held() and time.monotonic() < deadline:
        record = folder.record()
        if record and record.supervisor and record.supervisor.alive():
            return record.supervisor
        time.sleep(0.05)
    return None


def _end_process(supervisor: Identity) -> None:
    os.kill(supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_LIMIT_S
    while supervisor.alive():
        if time.monotonic() > deadline:
            os.kill(supervisor.pid, signal.SIGKILL)  # the kernel then ends the programs
        time.sleep(0.05)
