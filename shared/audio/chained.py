"""Chained Ogg: streams one behind the other in one file, as Internet radio and joined files have them.

libsndfile reads the first alone. Ogg's pages (RFC 3533) say where a stream begins.
"""

from __future__ import annotations

from shared.audio.links import Link
from shared.audio.seekable_files import Source, Spliced, View, size_of

MAGIC = b"OggS"
HEADER_BYTES = 27
BEGINS_STREAM = 0x02  # of a page's flags
CUT_OFF = "its last page is cut off"


def ogg_links(source: Source, most: int) -> list[Link]:
    """The links of an Ogg file, at most `most` + 1: the file itself if there is one.

    Pages of several streams may begin together (sound beside pictures); a link begins with such a page behind
    one that begins nothing. Between damaged pages the next sound one is looked for.
    """
    size, view = size_of(source), View(source)
    starts: list[int] = []
    place, is_beginning, flaw = 0, False, None
    while place + HEADER_BYTES <= size and len(starts) <= most:
        header = view.at(place, HEADER_BYTES)
        if not header.startswith(MAGIC):
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
    links = [Link(Spliced(source, [range(*span)])) for span in zip(starts, ends, strict=True)]
    return [*links[:-1], Link(links[-1].file, flaw=flaw)]


def _next_page(view: View, place: int, size: int) -> int:
    while place < size:
        some = view.at(place, 2**16)
        if (at := some.find(MAGIC)) >= 0:
            return place + at
        place += max(1, len(some) - len(MAGIC) + 1)
    return size
