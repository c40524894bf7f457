"""Joined FLAC: several files one behind the other, of which libsndfile reads the first alone."""

from __future__ import annotations

import re

from shared.audio.links import Link
from shared.audio.seekable_files import Source, Spliced, size_of

MAGIC = b"fLaC"
BLOCK_BYTES = 2**20
# The marker and the header of the first block, STREAMINFO of 34 bytes, the last or not (RFC 9639).
_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_BEGINNING_BYTES = 8


def flac_links(source: Source, most: int) -> list[Link]:
    """The links of a FLAC file, at most `most` + 1: the file itself if there is one.

    All of the file is looked through: a gigabyte takes about a second.
    """
    size = size_of(source)
    starts: list[int] = []
    place, rest = 0, b""
    while len(starts) <= most and (block := source.read(BLOCK_BYTES)):
        some = rest + block
        starts += [place - len(rest) + found.start() for found in _BEGINNING.finditer(some)]
        place += len(block)
        rest = some[1 - _BEGINNING_BYTES :]
    source.seek(0)
    if len(starts) < 2:
        return [Link(source)]
    starts, ends = [0, *starts[1 : most + 1]], [*starts[1 : most + 1], size]
    return [Link(Spliced(source, [range(*span)])) for span in zip(starts, ends, strict=True)]
