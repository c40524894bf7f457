"""How every command takes its options: flags look like flags in help, wrong values are told in our words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup, TyperOption

from shared.core.errors.wording import fault_in_words

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

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, no_args_is_help=True, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        return super().command(name, cls=Command, **settings)


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
