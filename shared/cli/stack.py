"""`voxmood up` and `voxmood down`: the stack on this machine."""

from __future__ import annotations

import logging
import math
import shlex
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.text import Text

from shared.cli.options import State
from shared.core import logs
from shared.core.errors.stack import AlreadyRunning, PartFailed
from shared.core.processes import start_time
from shared.core.settings import Settings, default_state_dir
from voxmood.cli.console import err, print_json, program, say

if TYPE_CHECKING:
    from shared.stack.state import Record, StateFolder

READY_LIMIT_S = 180.0
LOOK_EVERY_S = 0.5


def up(
    workers: Annotated[
        int | None,
        typer.Option(min=1, envvar="VOXMOOD_WORKERS", help="Classifying processes. Default: cores."),
    ] = None,
    state: State = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, envvar="VOXMOOD_API_PORT", help="The API's port. Default: 8000 or above."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when all is ready; leave it running.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
) -> None:
    """Start the stack: queue, object store, database, API, workers, Flower, page."""
    from shared.stack import control
    from shared.stack.state import StateFolder
    from shared.stack.supervisor import Supervisor
    from shared.stack.wiring import wire

    folder = StateFolder(state or default_state_dir())
    _log_to(folder, to_person=not detach)
    try:
        choice = partial(wire, workers=workers or Settings().workers, api_port=port)
        supervisor = Supervisor.prepare(folder, choice)
    except AlreadyRunning as running:
        record = folder.record()
        if not detach or record is None or record.supervisor is None:
            raise
        say(str(running))
        pid = record.supervisor.pid
    else:
        record = supervisor.record
        say(f"Starting voxmood in {folder.path}")
        if not detach:
            with Readiness(record, folder, json=json) as readiness:
                supervisor.run(readiness.look_patiently)
            say("voxmood has ended.")
            return
        pid = control.detach(supervisor)
    with Readiness(record, folder, json=json) as readiness:
        while not readiness.look():
            if start_time(pid) is None:
                raise PartFailed(part="The supervisor", reason="it has ended", log=folder.log("supervisor"))
            time.sleep(LOOK_EVERY_S)


def down(state: State = None) -> None:
    """End the stack that runs on this state folder."""
    from shared.stack import control
    from shared.stack.state import StateFolder

    folder = StateFolder(state or default_state_dir())
    with err.status("Ending all parts (workers finish what they are at, up to 10 s)"):
        left = control.end(folder)
    for part in left:
        say(f"Killed what {part} had left.")
    again = f"`voxmood up{_state_option(folder)}` goes on with them"
    say(f"voxmood has ended. Jobs and results are kept in {folder.path}; {again}.")


class SayingHandler(logging.Handler):
    """Says each message to the person."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


class Readiness:
    """Looks until all parts are ready, tells the person meanwhile what is waited for, then the addresses.

    It draws without a thread of its own: the supervisor forks.
    """

    def __init__(self, record: Record, folder: StateFolder, *, json: bool) -> None:
        from shared.stack import control

        self._reached = False
        self._record = record
        self._folder = folder
        self._json = json
        self._waited_for: list[str] = []
        self._started = time.monotonic()
        self._limit_s = READY_LIMIT_S
        self._client = control.local_client()
        self._line = Live(console=err, auto_refresh=False, transient=True)

    def __enter__(self) -> Readiness:
        self._line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.stop()
        self._client.close()

    def look(self) -> bool:
        """Look once, and tell; whether all parts were ready now or before.

        Raises:
            PartFailed: once, when the time limit has passed.
        """
        from shared.stack import control

        if self._reached:
            return True
        seconds = time.monotonic() - self._started
        before, self._waited_for = self._waited_for, control.waited_for(self._record, self._client)
        if not self._waited_for:
            self._reached = True
            self._line.update(Text(), refresh=True)
            self._line.stop()
            say(f"Ready after {seconds:.0f} s")
            self._show()
            return True
        sentence = f"Waiting for {', '.join(self._waited_for)}"
        if err.is_terminal:
            self._line.update(Text(f"{sentence} ({seconds:.0f} s)"), refresh=True)
        elif self._waited_for != before:
            say(sentence)
        if seconds > self._limit_s:
            self._limit_s = math.inf
            raise self._failure()
        return False

    def look_patiently(self) -> None:
        """Look once, and tell; after the time limit too."""
        try:
            self.look()
        except PartFailed as late:
            say(str(late))

    def _failure(self) -> PartFailed:
        logs = []
        for part in self._waited_for:
            own = self._folder.log(part.replace(".", "-"))
            logs.append(own if own.exists() else self._folder.log(part.partition(".")[0]))
        names = ", ".join(self._waited_for)
        reason = f"not ready after {READY_LIMIT_S:.0f} s"
        return PartFailed(part=names, reason=reason, log=", ".join(dict.fromkeys(map(str, logs))))

    def _show(self) -> None:
        if self._json:
            print_json((self._folder.record() or self._record).model_dump())
            return
        record = self._record
        state = _state_option(self._folder)
        addresses = (
            ("page, to drop recordings on", record.page_url),
            ("API", record.api_url),
            ("its documentation", record.docs_url),
            ("Flower, to watch the queue", record.flower_url),
            ("database", record.database_url),
            ("object store", record.s3_endpoint),
            ("logs", record.logs),
            ("to end it", f"{program()} down{state}"),
        )
        width = max(len(what) for what, _ in addresses)
        for what, where in addresses:
            typer.echo(f"{what:<{width}}  {where}")  # whole, however narrow the terminal is
        self._say_how_to_make_a_key(state)

    def _say_how_to_make_a_key(self, state: str) -> None:
        from shared.cli.keys import are_missing

        if Settings().asks_for_key and are_missing(self._folder.path):
            say(f"The API asks for a key, and nobody has one yet: `voxmood keys create{state}` makes one.")


def _state_option(folder: StateFolder) -> str:
    """What a command needs to mean this folder, where the environment does not say so."""
    is_usual = folder.path == default_state_dir().absolute()
    return "" if is_usual else f" --state {shlex.quote(str(folder.path))}"


def _log_to(folder: StateFolder, *, to_person: bool) -> None:
    """The supervisor's messages go to its log, and to the person who watches."""
    file = logging.FileHandler(folder.log("supervisor"), delay=True)
    file.setFormatter(logs.formatter(Settings().log_format))
    handlers: list[logging.Handler] = [file]
    if to_person:
        handlers.append(SayingHandler(logging.INFO))
    logger = logging.getLogger("voxmood.stack")
    logger.setLevel(logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
