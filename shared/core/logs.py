"""Logs: one form for API, workers, beat and supervisor; each line names the job and the shard it is about.

`set_up` is called once a process, `begin` and `note` by workers, `about` for a request. A record is a line
that begins at the margin: names that clients chose can neither forge one nor control a terminal. Passwords in
addresses, signatures and API keys are masked wherever they appear, also in the texts of other libraries.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

Format = Literal["text", "json"]
SUBJECTS = ("request", "job", "upload", "unit", "shard")
# These say at INFO what they do, some with the addresses, and so the signatures, of requests.
TALKATIVE = ("alembic", "botocore", "boto3", "httpx", "httpcore", "s3transfer", "urllib3")
_SECRETS = (
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"), r"\1***"),
    (re.compile(r"((?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\b(vm_[0-9A-Za-z]{8})[0-9A-Za-z]{20,}"), r"\1***"),
)
_subjects: ContextVar[dict[str, int | str]] = ContextVar("subjects", default={})  # noqa: B039 - never changed


@contextmanager
def about(**subjects: int | str) -> Iterator[None]:
    """Name what the records inside are about: `about(job=12, unit=40)`. Inner names add to outer ones."""
    before = _subjects.set(_subjects.get() | subjects)
    try:
        yield
    finally:
        _subjects.reset(before)


def begin(**subjects: int | str) -> None:
    """Name what the records from here on are about, in place of all earlier names: a task begins."""
    _subjects.set(subjects)


def note(**subjects: int | str) -> None:
    """Add names to those of `begin`, as they become known."""
    _subjects.set(_subjects.get() | subjects)


def known(subject: str) -> int | str | None:
    """What is named of a subject here: the number of the job, or of the request."""
    return _subjects.get().get(subject)


def set_up(level: str, form: Format) -> None:
    """Make all loggers of this process write to stderr.

    Args:
        level: below it nothing is written.
        form: of the records.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def formatter(form: Format) -> logging.Formatter:
    """The formatter of a form."""
    return JsonFormatter() if form == "json" else TextFormatter()


def masked(text: str) -> str:
    """The text without secrets that can be recognised by their form.

    >>> masked("redis://:hunter2@127.0.0.1:6379/0 is gone")
    'redis://:***@127.0.0.1:6379/0 is gone'
    """
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return text


class JsonFormatter(logging.Formatter):
    """A line of JSON: time, level, logger and message; job, upload, unit, shard and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
            **_known(),
        }
        if trouble := _trouble(self, record):
            fields["exception"] = masked(trouble)
        # ASCII: some readers take U+2028 for the end of a line.
        return json.dumps(fields)


class TextFormatter(logging.Formatter):
    """`2026-11-22T21:40:00.123Z INFO workers.classify [job 12 shard 17] message`, tracebacks indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of text, followed by its traceback."""
        known = " ".join(f"{name} {value}" for name, value in _known().items())
        place = f"{record.name} [{known}]" if known else record.name
        lines = [f"{_time(record)} {record.levelname} {place} {_printable(masked(record.getMessage()))}"]
        lines += (f"    {_printable(line)}" for line in masked(_trouble(self, record)).split("\n") if line)
        return "\n".join(lines)


def _known() -> dict[str, int | str]:
    named = _subjects.get()
    return {name: named[name] for name in SUBJECTS if name in named}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trouble(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback and the stack of a record, if it has them."""
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    parts += [formatter.formatStack(record.stack_info)] if record.stack_info else []
    return "\n".join(parts)


def _printable(text: str) -> str:
    """The text with line ends, control characters and marks of writing direction escaped."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )
