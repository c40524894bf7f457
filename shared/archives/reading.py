"""The members of an upload, whatever its kind."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from shared.archives.kinds import Kind, is_litter, printable
from shared.archives.limits import Limits, Meter
from shared.archives.member import Member, blocks
from shared.archives.tars import tar_members
from shared.archives.zips import zip_members


def members(
    source: BinaryIO, name: str, kind: Kind, limits: Limits, on_progress: Callable[[], None] | None = None
) -> Iterator[Member]:
    """The members of an upload, from the first; litter and folders left out.

    `source` is seekable. `on_progress()` is called after each 8 MiB of output. What it raises, and what
    the source raises, comes through as it is.

    Raises an UploadError: for a zip with too many or overlapping members before the first of them; else
    where a limit strikes, or the archive breaks or ends early, after the members before that (with
    `kept=0`: the caller counts).
    """
    if kind is Kind.LOOSE:
        yield Member(0, printable(name), lambda: blocks(source))
        return
    meter = Meter(name, source.seek(0, io.SEEK_END), limits, on_progress)
    found = zip_members(source, meter) if kind is Kind.ZIP else tar_members(source, kind, meter)
    for member in found:
        if not is_litter(member.path):
            yield member
