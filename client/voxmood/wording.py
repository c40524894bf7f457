"""Faults that a validator found, in plain words: its own speak of inputs, parsers and instances."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)  # as the command line has it: a text
LONGEST_SHOWN = 40  # characters of a wrong value
_Limits = Mapping[str, Any]
# By the kind of fault, what a value has to be; the limits are the validator's.
_MUST: Mapping[str, Callable[[_Limits], str]] = {
    "greater_than_equal": lambda limits: f"{limits['ge']} or more",
    "less_than_equal": lambda limits: f"{limits['le']} or less",
    "greater_than": lambda limits: f"more than {limits['gt']}",
    "less_than": lambda limits: f"less than {limits['lt']}",
    "finite_number": lambda _: "a finite number",
    "string_too_short": lambda limits: f"at least {_many(limits['min_length'], 'character')} long",
    "string_too_long": lambda limits: f"at most {_many(limits['max_length'], 'character')} long",
    "too_short": lambda limits: f"a list of at least {_many(limits['min_length'], 'entry', 'entries')}",
    "too_long": lambda limits: f"a list of at most {_many(limits['max_length'], 'entry', 'entries')}",
    "literal_error": lambda limits: str(limits["expected"]),
    "enum": lambda limits: str(limits["expected"]),
}
# The same of the beginning of the kind: int_parsing, int_type, int_from_float, …
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "dict": "an object with named fields",
    "model": "an object with named fields",
    "path": "a path",
    "url": "an address as https://example.org/",
    "date": "a date",
    "datetime": "a date and time",
}
_STRANGE = "a value of another kind"


def fault_in_words(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, to be put behind its name.

    Args:
        fault: one of `ValidationError.errors()`.

    >>> fault_in_words({"type": "less_than_equal", "input": 7, "ctx": {"le": 1.0}})
    'must be 1 or less, not 7'
    >>> fault_in_words({"type": "int_parsing", "input": "twelve"})
    "must be a whole number, not 'twelve'"
    >>> fault_in_words({"type": "missing", "input": {}})
    'is missing'
    """
    kind, given = str(fault["type"]), fault.get("input")
    limits = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is no field of this request"
    if kind == "json_invalid":
        return f"is no JSON: {limits.get('error', 'it breaks off')}"
    if kind in ("value_error", "assertion_error"):
        return str(limits.get("error", "is not valid"))
    known = _MUST.get(kind)
    wanted = known(limits) if known else _KINDS.get(kind.partition("_")[0], _STRANGE)
    return f"must be {wanted}{_not(given)}"


def _not(given: object) -> str:
    if not isinstance(given, str | int | float):
        return ""
    shown = repr(given) if isinstance(given, str) and not NUMBER.fullmatch(given) else str(given)
    return f", not {shown}" if len(shown) <= LONGEST_SHOWN else ""


def _plain(value: object) -> object:
    """A whole number without decimals: 1, not 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _many(count: object, one: str, more: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {more or one + 's'}"
