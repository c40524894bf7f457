"""API keys: how they are made, checked for typing errors, and remembered without being stored.

A key is `vm_`, 43 letters and digits (256 random bits in base 62) and 6 more, the CRC-32 of all before them.
The prefix lets secret scanners find keys; the checksum refuses a mistyped key without a look-up. Only the
SHA-256 and the first 11 characters are stored: a slow hash would add no protection to 256 random bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Literal, get_args

from shared.core.errors.access import WrongExpiry

Scope = Literal["submit", "read", "label", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ADMIN: Scope = "admin"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_LENGTH, _CHECKSUM_LENGTH = 43, 6  # 62^43 > 2^256, 62^6 > 2^32
_PREFIX_LENGTH = 11
_FORM = re.compile(rf"vm_[0-9A-Za-z]{{{_BODY_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII)
_DURATION = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def new_key() -> str:
    """A new key: show it once, store its `digest`."""
    body = "vm_" + _base62(secrets.randbits(256), _BODY_LENGTH)
    return body + _checksum(body)


def is_key(text: str) -> bool:
    """Whether a text has the form of a key and its checksum; this says nothing of its validity."""
    return bool(_FORM.fullmatch(text)) and _checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]


def prefix(key: str) -> str:
    """The part of a key that lists show and that finds its row: 47 of its bits, so 209 stay secret."""
    return key[:_PREFIX_LENGTH]


def digest(key: str) -> str:
    """The SHA-256 of a key in hexadecimal, which is stored in its place."""
    return hashlib.sha256(key.encode("ascii")).hexdigest()


def duration_s(text: str) -> int:
    """The seconds of a duration like `12h`, `90d` or `4w`.

    Raises:
        WrongExpiry: it is not of this form.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise WrongExpiry(value=text)
    return int(match[1]) * _SECONDS[match[2]]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
