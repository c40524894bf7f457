"""API keys: how one is made, and remembered without being stored; their form is `voxmood.api_keys`.

A key is `vm_`, 43 letters and digits (256 random bits in base 62) and 6 more, the CRC-32 of all before them.
The prefix lets secret scanners find keys; the checksum refuses a mistyped key without a look-up. Only the
SHA-256 and the first 11 characters are stored: a slow hash would add no protection to 256 random bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum

from shared.core.errors.access import WrongExpiry
from voxmood.api_keys import BODY_LENGTH, PREFIX, base62, checksum, is_key

__all__ = ["Scope", "digest", "duration_s", "is_key", "new_key", "prefix"]


class Scope(StrEnum):
    """What a key may be used for. `admin` holds all."""

    SUBMIT = "submit"
    READ = "read"
    LABEL = "label"
    ADMIN = "admin"


_PREFIX_LENGTH = 11
_DURATION = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def new_key() -> str:
    """A new key: show it once, store its `digest`."""
    body = PREFIX + base62(secrets.randbits(256), BODY_LENGTH)
    return body + checksum(body)


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
