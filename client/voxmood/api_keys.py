"""The form of API keys: `vm_`, 43 letters and digits, and 6 more that are a checksum of all before them.

A mistyped key is refused without being sent.
"""

from __future__ import annotations

import re
import string
import zlib

PREFIX = "vm_"
BODY_LENGTH, CHECKSUM_LENGTH = 43, 6  # 62^43 > 2^256, 62^6 > 2^32
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY_LENGTH + CHECKSUM_LENGTH}}}", re.ASCII)


def is_key(text: str) -> bool:
    """Whether it has the form of a key and its checksum fits; nothing is said of its being valid.

    >>> is_key("vm_mistyped")
    False
    """
    return bool(_FORM.fullmatch(text)) and checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]


def checksum(body: str) -> str:
    """The CRC-32 of a key without its checksum, as six letters and digits."""
    return base62(zlib.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def base62(number: int, length: int) -> str:
    """A number as so many letters and digits.

    >>> base62(62, 4)
    '0010'
    """
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
