"""A file as a chain of recordings: most files hold one, files that were joined hold several.

"Link" is the word of Ogg (RFC 3533, libvorbisfile) for one of several streams that follow each other in a
file.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.audio.seekable_files import SeekableFile

# Of one file. A day of a radio's stream has some 500; 100,000 links of nothing took 15 s to open.
MOST_LINKS = 10_000


@dataclass(frozen=True, slots=True)
class Link:
    """One recording within a file.

    Attributes:
        file: what a decoder reads.
        promised_s: the seconds that its header states, where fewer are known to be there.
        flaw: what else is known to be wrong with it.
    """

    file: SeekableFile
    promised_s: float | None = None
    flaw: str | None = None
