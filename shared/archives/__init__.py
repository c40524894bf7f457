"""Zip and tar archives as streams of members, within limits. Nothing is ever written to a disk.

A member's name is data: it is stored in a column and never used as a path. `members` yields the files of an
archive in the archive's order and leaves out folders and system files. Each member has a number; the number
counts all entries, so it stays the same whatever is left out.
"""

from shared.archives.kinds import HEAD_BYTES, Kind, extension, is_litter, kind_of, printable
from shared.archives.limits import Limits
from shared.archives.member import Member
from shared.archives.names import checked_encoding
from shared.archives.reading import kind_in, members

__all__ = [
    "HEAD_BYTES",
    "Kind",
    "Limits",
    "Member",
    "checked_encoding",
    "extension",
    "is_litter",
    "kind_in",
    "kind_of",
    "members",
    "printable",
]
