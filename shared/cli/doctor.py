"""`voxmood doctor`: what is right and wrong with this machine and its stack, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from shared.cli.findings import Finding
from shared.cli.machine_findings import examine_machine
from shared.cli.options import State
from shared.cli.stack_findings import examine_stack
from shared.core.settings import Settings, default_state_dir
from voxmood.cli.console import Server, hinted, out, print_json, say, unbroken

if TYPE_CHECKING:
    from shared.stack.state import StateFolder

STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    state: State = None,
    server: Server = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at versions, disk, memory, models, ports, database and the running stack.

    The exit code is 1 if there is a problem.
    """
    from shared.stack.state import StateFolder

    folder = StateFolder(state or default_state_dir())
    found = list(examine(folder, Settings(), server))
    levels = Counter(finding.level for finding in found)
    if json:
        print_json({"problems": levels["problem"], "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
        say(f"Problems: {levels['problem']}, warnings: {levels['warning']}.")
    if levels["problem"]:
        raise typer.Exit(1)


def _print(found: list[Finding]) -> None:
    """One below the other, in columns; a table would cut addresses that are longer than its column."""
    level, check = (max(len(getattr(one, name)) for one in found) + 2 for name in ("level", "check"))
    for one in found:
        line = Text(f"{one.level:<{level}}", style=STYLES[one.level])
        line.append(f"{one.check:<{check}}", style="default")
        line.append(unbroken(hinted(one.says), level + check), style="default")
        if one.do:
            indented = "\n" + " " * (level + check)
            line.append(indented + unbroken(hinted(one.do), level + check), style="default bold")
        out.print(line)


def examine(folder: StateFolder, settings: Settings, server: str | None) -> Iterator[Finding]:
    """All findings, one after the other; `server`: an API elsewhere, to be asked instead of the stack's."""
    running = folder.record() if folder.held() else None
    yield from examine_machine(folder, settings, running)
    yield from examine_stack(folder, settings, server, running)
