"""Encodings in which the names of an archive's members may be, where the archive does not say it."""

from __future__ import annotations

import codecs

from voxmood.errors import UnknownEncoding

# An encoding of names leaves ASCII as it is: no UTF-16, no EBCDIC, no escapes of Python's or of domains.
_PROBE = b"a.wav/ \\u0041 +AGE- xn--bcher-kva"
_OF_DOMAINS = {"idna", "punycode"}


def checked_encoding(name: str) -> str:
    """The plain name of an encoding in which names of members may be.

    >>> checked_encoding("Shift-JIS"), checked_encoding("1252")
    ('shift_jis', 'cp1252')

    Raises:
        UnknownEncoding: it is none, or none of names.
    """
    try:
        info = codecs.lookup(name)
        is_one = info.name not in _OF_DOMAINS and _PROBE.decode(info.name) == _PROBE.decode("ascii")
    except (LookupError, ValueError):  # also UnicodeError
        is_one = False
    if not is_one:
        raise UnknownEncoding(encoding=name[:80])
    return info.name
