"""The names of members as text, by what an archive says of their encoding.

A zip says UTF-8 by a flag, or by Info-ZIP's field 0x7075. Linux's zip and macOS's Finder write UTF-8 and say
nothing; Windows writes the code page of the user's language and says nothing either.
"""

from __future__ import annotations

import struct
import zlib

from voxmood.encodings import checked_encoding as checked_encoding

# What the format itself prescribes where nothing is said (APPNOTE, appendix D).
DEFAULT_ENCODING = "cp437"
IS_UTF8 = 0x800
_UNICODE_PATH = 0x7075


def in_utf8(raw: bytes) -> str | None:
    """The name if it is valid UTF-8, which includes ASCII; else None."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def in_zip(raw: bytes, flags: int, extra: bytes, encoding: str | None) -> tuple[str, bool]:
    """The name of a zip's member as text.

    Args:
        raw: the bytes of the name.
        flags: the general purpose bits of its header.
        extra: the extra fields of its header.
        encoding: of names that are not UTF-8 and do not say what they are; None: not known.

    Returns:
        The name, with lone surrogates for bytes that are no text; and whether its encoding was guessed.
    """
    if flags & IS_UTF8:
        return raw.decode("utf-8", "surrogateescape"), False
    said = _unicode_path(raw, extra)
    if said is None:
        said = in_utf8(raw)
    if said is not None:
        return said, False
    if encoding is not None:
        return raw.decode(encoding, "backslashreplace"), False
    return raw.decode(DEFAULT_ENCODING), True


def in_tar(raw: bytes, encoding: str | None) -> str:
    """The name of a tar's member as text; tars use UTF-8 today and never say so."""
    if encoding is not None and in_utf8(raw) is None:
        return raw.decode(encoding, "backslashreplace")
    return raw.decode("utf-8", "surrogateescape")


def extra_fields(extra: bytes) -> dict[int, bytes]:
    """The extra fields of a header by their ids; the first of each id, without fields that are cut off."""
    fields: dict[int, bytes] = {}
    place = 0
    while place + 4 <= len(extra):
        number, length = struct.unpack_from("<2H", extra, place)
        place += 4
        if place + length <= len(extra):
            fields.setdefault(number, extra[place : place + length])
        place += length
    return fields


def _unicode_path(raw: bytes, extra: bytes) -> str | None:
    """The name in Info-ZIP's field 0x7075, where there is one that belongs to this name.

    The field has version 1, the CRC of the name that it stands for, and the name in UTF-8.
    """
    field = extra_fields(extra).get(_UNICODE_PATH, b"")
    if len(field) < 5 or field[0] != 1 or struct.unpack_from("<L", field, 1)[0] != zlib.crc32(raw):
        return None
    return in_utf8(field[5:])
