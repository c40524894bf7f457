"""The README's blocks, and a terminal to type them into.

A block that no test can run has a marker directly before it: `<!-- not run by the test: why -->`. One that
needs a program which not everybody has names it: `<!-- needs: sqlite3 -->`, and is run where that is.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MARKER = re.compile(r"<!-- *(?P<kind>not run by the test|needs): *(?P<value>\S.*?) *-->")
COMMENT = re.compile(r"<!--.*")
SHELL, PYTHON, SQL, NEITHER = {"", "sh", "bash"}, {"python"}, {"sql"}, {"text"}
ENDED = "\036"  # begins the line that says how a command has ended


class WrongReadme(Exception):
    """What says that a block is not written as blocks are."""


@dataclass(frozen=True)
class Block:
    """line: of its first one, in the README. not_run: why, else empty. needs: a program, else empty."""

    line: int
    language: str
    text: str
    not_run: str = ""
    needs: str = ""

    @property
    def is_run(self) -> bool:
        return self.language in SHELL | PYTHON

    def commands(self) -> Iterator[str]:
        """As a person would enter them: what bash takes for unfinished goes on in the next line.

        A block of Python is one command, given to `python` whole.
        """
        if self.language in PYTHON:
            yield f"python - <<'END'\n{self.text}\nEND"
            return
        entered: list[str] = []
        for line in self.text.splitlines():
            entered.append(line)
            command = "\n".join(entered)
            if line.endswith("\\") or not _is_whole(command):
                continue
            if command.strip():
                yield command
            entered = []
        if entered:
            raise WrongReadme(f"line {self.line}: bash waits for more after {entered}")


def _is_whole(command: str) -> bool:
    return subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True).returncode == 0


def blocks(readme: str) -> list[Block]:
    """All blocks, in order.

    Raises:
        WrongReadme: a marker is not known, gives no reason, or stands before no block; a block is of an
            unknown language, or has no end.
    """
    found: list[Block] = []
    lines = readme.splitlines()
    number = 0
    while number < len(lines):
        before, line = lines[number - 1] if number else "", lines[number]
        if not line.startswith("```"):
            follows = lines[number + 1] if number + 1 < len(lines) else ""
            if re.match(r"<!-- *(not run|needs)", line) and not follows.startswith("```"):
                raise WrongReadme(f"line {number + 1}: no block follows {line!r}")
            number += 1
            continue
        language = line[3:].strip()
        if language not in SHELL | PYTHON | SQL | NEITHER:
            raise WrongReadme(f"line {number + 1}: blocks of {language!r} are not known")
        end = next((i for i in range(number + 1, len(lines)) if lines[i] == "```"), None)
        if end is None:
            raise WrongReadme(f"line {number + 1}: the block has no end")
        marker = MARKER.fullmatch(before)
        if marker is None and COMMENT.match(before):
            raise WrongReadme(f"line {number}: {before!r} is no marker that is known, or gives no reason")
        kind, value = (marker["kind"], marker["value"]) if marker else ("", "")
        found.append(
            Block(
                number + 2,
                language,
                "\n".join(lines[number + 1 : end]),
                not_run=value if kind == "not run by the test" else "",
                needs=value if kind == "needs" else "",
            )
        )
        number = end + 1
    return found


class Terminal:
    """One bash, into which commands are typed; what they set, stays set."""

    def __init__(self, bash: subprocess.Popen[str], folder: Path) -> None:
        self._bash = bash
        self._typed = folder / "typed"

    def run(self, command: str, limit_s: float = 120) -> tuple[int, str]:
        """Its exit status and what it printed; -1 where it ran past the limit or ended the terminal."""
        assert self._bash.stdin is not None and self._bash.stdout is not None
        self._typed.write_text(command)
        # From a file, so that nothing of it needs quotes; no command waits for what is typed next.
        self._bash.stdin.write(f"eval \"$(cat '{self._typed}')\" </dev/null; printf '\\n{ENDED}%d\\n' $?\n")
        self._bash.stdin.flush()
        timer = threading.Timer(limit_s, os.killpg, (self._bash.pid, signal.SIGKILL))
        timer.start()
        printed = []
        try:
            for line in self._bash.stdout:
                if line.startswith(ENDED):
                    return int(line[1:]), "".join(printed)
                printed.append(line)
        finally:
            timer.cancel()
        return -1, "".join(printed)


@contextmanager
def terminal(folder: Path, typed_in: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """A terminal that begins in `folder`; `typed_in`: a folder to keep in what is being typed."""
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # ended with all that it waits for; a stack has a session of its own
    ) as bash:
        try:
            yield Terminal(bash, typed_in)
        finally:
            if bash.poll() is None:
                os.killpg(bash.pid, signal.SIGKILL)
