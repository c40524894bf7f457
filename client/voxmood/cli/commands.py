"""How every command takes its options: flags look like flags in help, wrong values are told in our words.

Commands are found by name and imported when they are called, or when help lists them: `voxmood status` waits
for no other command's imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup, TyperOption

from voxmood.wording import fault_in_words

GROUP = "voxmood.commands"  # of entry points: commands that other distributions add
Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return _in_our_words(super().parse_args, ctx, args)


class Group(TyperGroup):
    """A command of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return _in_our_words(super().parse_args, ctx, args)


class App(typer.Typer):
    """Commands of these kinds."""

    def __init__(self, cls: type[Group] = Group, *, add_completion: bool = False, **settings: Any) -> None:
        super().__init__(cls=cls, no_args_is_help=True, add_completion=add_completion, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        return super().command(name, cls=Command, **settings)


class FoundCommands(MutableMapping[str, Any]):
    """Commands by their names, in the order of help, each made when it is asked for.

    Args:
        own: of this distribution: where each is, as `module:name`.
        order: all names that are known, in the order of help; others follow by the alphabet.
    """

    def __init__(self, own: dict[str, str], order: tuple[str, ...]) -> None:
        self._own = {name: EntryPoint(name, where, GROUP) for name, where in own.items()}
        self._order = order
        self._made: dict[str, Any] = {}

    @cached_property
    def _places(self) -> dict[str, EntryPoint]:
        every = {one.name: one for one in entry_points(group=GROUP)} | self._own
        known = [name for name in self._order if name in every]
        return {name: every[name] for name in [*known, *sorted(every.keys() - set(known))]}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            place = self._own.get(name) or self._places[name]
            self._made[name] = _command(name, place.load())
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _command(name: str, found: Any) -> Any:
    """What typer makes of a function, or of an `App` with commands of its own."""
    app = found
    if not isinstance(found, typer.Typer):
        app = App()
        app.command(name)(found)
    command = typer.main.get_command(app)
    command.name = name
    return command


def _without_types_of_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag and param.metavar is None:
            param.metavar = ""  # else help says `--wait <bool>`, and nobody may write `--wait true`
    return params


def _in_our_words(parse: Callable[[Any, list[str]], list[str]], ctx: Any, args: list[str]) -> list[str]:
    try:
        return parse(ctx, args)
    except typer.BadParameter as error:
        if isinstance(error.__cause__, ValidationError):
            faults = map(fault_in_words, error.__cause__.errors())
            error.message = "; ".join(faults).rstrip(".") + "."
        raise
