"""A small archive for tests, and the members of any."""

from __future__ import annotations

import io

from shared.archives import kind_of, members
from shared.core.errors.recordings import ClipError
from shared.core.settings import Settings
from shared.limits import archive_limits

LIMITS = archive_limits(Settings())
SOUND = {"a/one.wav": b"RIFF" + bytes(5000), "a/two.flac": b"fLaC" + bytes(70_000), "notes.txt": b"words"}


def read(archive: bytes, name: str = "in.zip", **limits: int) -> list[tuple[int, str, object]]:
    """All members: number, path, and their bytes or their error."""
    found: list[tuple[int, str, object]] = []
    kind = kind_of(archive[:512], name)
    for member in members(io.BytesIO(archive), name, kind, archive_limits(Settings(**limits))):
        try:
            outcome: object = member.error or b"".join(member.chunks())
        except ClipError as error:
            outcome = error
        found.append((member.number, member.path, outcome))
    return found
