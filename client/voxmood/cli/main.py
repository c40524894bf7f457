"""The command `voxmood`: one function a command, each in the module of its subject.

Those here only talk to the API. An installed server adds its own by entry points of the group
`voxmood.commands`, so that one command has all of them.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from voxmood.cli.commands import App, FoundCommands, Group
from voxmood.cli.console import say
from voxmood.environment import version as installed_version
from voxmood.errors import VoxmoodError
from voxmood.wording import fault_in_words

COMMANDS = {
    "submit": "voxmood.cli.submit:submit",
    "jobs": "voxmood.cli.jobs:list_jobs",
    "status": "voxmood.cli.jobs:status",
    "cancel": "voxmood.cli.lifecycle:cancel",
    "retry": "voxmood.cli.lifecycle:retry",
    "reclassify": "voxmood.cli.lifecycle:reclassify",
    "delete": "voxmood.cli.lifecycle:delete",
    "results": "voxmood.cli.results:show_results",
    "report": "voxmood.cli.report:report",
    "review": "voxmood.cli.review:review",
    "retrain": "voxmood.cli.models:retrain",
    "label": "voxmood.cli.label:app",
    "models": "voxmood.cli.models:app",
}
# All of help, in its order, with those that a server brings.
ORDER = (
    *("up", "down", "doctor", "demo"),
    *("submit", "jobs", "status", "cancel", "retry", "reclassify", "delete", "results", "report", "review"),
    *("classify", "train", "evaluate", "retrain", "label", "models", "dataset", "keys"),
)
SETTINGS = "Settings"  # what pydantic calls those of a server where one of them is wrong


class Root(Group):
    """`voxmood` itself."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = FoundCommands(COMMANDS, ORDER)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = self.commands.get(cmd_name)
        if found is None and cmd_name in ORDER:
            ctx.fail(f"'{cmd_name}' is a command of the server, and only its client is installed here.")
        return found


app = App(
    Root,
    add_completion=True,
    name="voxmood",
    help="Bulk emotion classification for archives of speech and song.",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxmood {installed_version()}")
        raise typer.Exit


@app.callback()
def voxmood(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What stands before every command."""


def main() -> None:
    """The entry point: an expected error is one sentence on stderr and exit code 1."""
    try:
        app()
    except VoxmoodError as error:
        say(f"voxmood: {error}")
        sys.exit(1)
    except ValidationError as error:
        if error.title != SETTINGS:
            raise
        for fault in error.errors():
            name = "VOXMOOD_" + "_".join(str(place) for place in fault["loc"]).upper()
            say(f"voxmood: {name} {fault_in_words(fault)}.")
        sys.exit(2)
    except KeyboardInterrupt:
        say("voxmood: interrupted")
        sys.exit(130)
