"""Files in which several Ogg or FLAC streams follow each other, as Internet radio and joined files have them.

libsndfile reads the first stream alone. The pages of Ogg (RFC 3533) and the first block of FLAC (RFC 9639)
say where a stream begins.
"""

from __future__ import annotations

import re

from shared.audio.links import Link
from shared.audio.seekable_files import FileView, SeekableFile, SplicedFile, size_of

OGG_MAGIC = b"OggS"
HEADER_BYTES = 27
BEGINS_STREAM = 0x02  # of a page's flags
CUT_OFF = "its last page is cut off"

FLAC_MAGIC = b"fLaC"
FLAC_BLOCK_BYTES = 2**20
# The marker and the header of the first block, STREAMINFO of 34 bytes, the last or not (RFC 9639).
_FLAC_BEGINNING = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_FLAC_BEGINNING_BYTES = 8


def ogg_links(source: SeekableFile, most: int) -> list[Link]:
    """The recordings of an Ogg file.

    Several streams may begin together (sound beside pictures): a new recording begins with such a page that
    follows a page which begins nothing. Between damaged pages the next sound one is looked for.

    Args:
        source: the file.
        most: how many recordings are looked for at most.

    Returns:
        At most `most` + 1 links; the file itself if it holds one recording.
    """
    size, view = size_of(source), FileView(source)
    starts: list[int] = []
    place, is_beginning, flaw = 0, False, None
    while place + HEADER_BYTES <= size and len(starts) <= most:
        header = view.at(place, HEADER_BYTES)
        if not header.startswith(OGG_MAGIC):
            place = _next_page(view, place + 1, size)
            continue
        begins = bool(header[5] & BEGINS_STREAM)
        if begins and not is_beginning:
            starts.append(place)
        is_beginning = begins
        lengths = view.at(place + HEADER_BYTES, header[26])
        place += HEADER_BYTES + len(lengths) + sum(lengths)
        flaw = CUT_OFF if place > size else None
    source.seek(0)
    if len(starts) < 2:
        return [Link(source, flaw=flaw)]
    ends = [*starts[1:], size]
    links = [Link(SplicedFile(source, [range(*span)])) for span in zip(starts, ends, strict=True)]
    return [*links[:-1], Link(links[-1].file, flaw=flaw)]


def _next_page(view: FileView, place: int, size: int) -> int:
    while place < size:
        some = view.at(place, 2**16)
        if (at := some.find(OGG_MAGIC)) >= 0:
            return place + at
        place += max(1, len(some) - len(OGG_MAGIC) + 1)
    return size


def flac_links(source: SeekableFile, most: int) -> list[Link]:
    """The recordings of a FLAC file.

    The whole file is searched: a gigabyte takes about a second.

    Args:
        source: the file.
        most: how many recordings are looked for at most.

    Returns:
        At most `most` + 1 links; the file itself if it holds one recording.
    """
    size = size_of(source)
    starts: list[int] = []
    place, rest = 0, b""
    while len(starts) <= most and (block := source.read(FLAC_BLOCK_BYTES)):
        some = rest + block
        starts += [place - len(rest) + found.start() for found in _FLAC_BEGINNING.finditer(some)]
        place += len(block)
        rest = some[1 - _FLAC_BEGINNING_BYTES :]
    source.seek(0)
    if len(starts) < 2:
        return [Link(source)]
    starts, ends = [0, *starts[1 : most + 1]], [*starts[1 : most + 1], size]
    return [Link(SplicedFile(source, [range(*span)])) for span in zip(starts, ends, strict=True)]
