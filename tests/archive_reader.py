"""Reads archives under a memory limit, for the tests of hostile ones: `python -m tests.archive_reader`.

Each comes on standard input behind its length (8 bytes); a line of JSON answers it: the members with an
error code or their bytes, the code that ended the archive, or what must never be: another exception.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from pathlib import Path
from typing import Any

from shared.archives import Limits, kind_in, members
from shared.archives import limits as limits_module
from shared.core.errors.recordings import ClipError
from shared.core.errors.uploads import UploadError
from shared.core.settings import MEBIBYTE, Settings
from shared.limits import archive_limits

# On top of what the process has when all is loaded; the largest window takes 128 MiB.
MEMORY_BYTES = 200 * MEBIBYTE


def read(archive: bytes, limits: Limits) -> dict[str, Any]:
    """What an archive gives."""
    found: list[tuple[str, int | str]] = []
    ended: str | None = None
    try:
        source = io.BytesIO(archive)
        for member in members(source, "in", kind_in(source, "in"), limits):
            try:
                outcome: int | str = member.error.code if member.error else sum(map(len, member.chunks()))
            except ClipError as error:
                outcome = error.code
            found.append((member.path, outcome))
    except UploadError as error:
        ended = error.code
    return {"members": len(found), "found": found[:10], "ended": ended}


def main() -> None:
    limits_module.RATIO_FREE_BYTES = 8 * MEBIBYTE  # so that bombs are made quickly
    limits = archive_limits(Settings(max_unpack_ratio=100, max_unpack_s=50))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while length := sys.stdin.buffer.read(8):
        archive = sys.stdin.buffer.read(struct.unpack("<Q", length)[0])
        try:
            answer = read(archive, limits)
        except BaseException as error:
            answer = {"broke": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
