"""The members of an upload, whatever its kind."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from shared.archives.directory import is_zip_behind
from shared.archives.kinds import (
    HEAD_BYTES,
    Kind,
    is_known_audio,
    is_litter,
    is_split_name,
    kind_of,
    printable,
)
from shared.archives.limits import Limits, Meter
from shared.archives.member import Member, blocks
from shared.archives.tars import tar_members
from shared.archives.zips import zip_members
from shared.core.errors.uploads import SplitArchive


def kind_in(source: BinaryIO, name: str) -> Kind:
    """The kind of an upload that is there as a whole, by its first bytes and then by its last.

    A zip may begin with other bytes: self-extracting archives begin with a program, some downloads with a
    line end.

    Args:
        source: the upload, seekable.
        name: its name, for the errors.

    Raises:
        UnknownArchive: it is an archive of a kind that is not read.
        SplitArchive: it is a middle part of a split archive.
    """
    source.seek(0)
    head = source.read(HEAD_BYTES)
    kind = kind_of(head, name)
    if kind is Kind.LOOSE and not is_known_audio(head):
        if is_zip_behind(source):
            return Kind.ZIP
        if is_split_name(name):
            raise SplitArchive(name=name)
    return kind


def members(
    source: BinaryIO,
    name: str,
    kind: Kind,
    limits: Limits,
    on_progress: Callable[[], None] | None = None,
    encoding: str | None = None,
) -> Iterator[Member]:
    """The members of an upload, from the first, without system files and folders.

    Args:
        source: the upload, seekable. What its reads raise is raised as it is.
        name: of the upload, for the errors.
        kind: from `kind_in`.
        limits: what the upload may hold.
        on_progress: called after each 8 MiB of output. What it raises is raised as it is.
        encoding: of names that are not UTF-8 and do not say what they are.

    Raises:
        UploadError: a limit was exceeded, or the archive is damaged or ends early. A zip with too many or
            overlapping members raises it before the first member, all else after the members before the
            fault. It says `kept=0`; the caller counts.
        NamesGuessed: an encoding had to be guessed; raised after all members.
    """
    if kind is Kind.LOOSE:
        source.seek(0)
        yield Member(0, printable(name), lambda: blocks(source))
        return
    meter = Meter(name, source.seek(0, io.SEEK_END), limits, on_progress)
    found = (
        zip_members(source, meter, encoding)
        if kind is Kind.ZIP
        else tar_members(source, kind, meter, encoding)
    )
    for member in found:
        if not is_litter(member.path):
            yield member
