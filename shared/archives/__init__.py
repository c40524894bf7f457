"""Zip and tar archives as streams of members, within limits. Nothing is ever written to a disk.

A member's name is data: it becomes a column, never a path. `members` yields every entry that is no
folder and no litter, in the archive's order, each with its number; the number counts all entries, so
that it stays the same whatever is skipped.
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
