"""Another process that reads archives (tests/archive_reader.py), and how it is asked."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import Any

from shared.core.settings import REPOSITORY

Reader = Callable[[bytes], dict[str, Any]]
ANSWER_S = 60


@contextmanager
def reading() -> Iterator[Reader]:
    """Another process that reads archives with little memory, and says what it found."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.archive_reader"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers, questions = process.stdout, process.stdin

    def read(archive: bytes) -> dict[str, Any]:
        with suppress(BrokenPipeError):
            questions.write(struct.pack("<Q", len(archive)))
            questions.write(archive)
            questions.flush()
        assert select([answers], [], [], ANSWER_S)[0], "the reader hangs"
        line = answers.readline()
        assert line, f"the reader crashed: {process.communicate()[1].decode()}"
        answer: dict[str, Any] = json.loads(line)
        assert "broke" not in answer, answer
        return answer

    try:
        yield read
    finally:
        process.kill()
        process.wait()
