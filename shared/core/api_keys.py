"""API keys: how one is made, and remembered without being stored; their form is `voxmood.api_keys`.

A key is `vm_`, 43 letters and digits (256 random bits in base 62) and 6 more, the CRC-32 of all before
them. The prefix lets secret scanners find it, the checksum refuses a mistyped one without a look-up.
Stored are its SHA-256 and its first 11 characters: of 256 bits a slow hash would protect nothing more.
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
    """A fresh key: show it once, store its `digest`."""
    body = PREFIX + base62(secrets.randbits(256), BODY_LENGTH)
    return body + checksum(body)


def prefix(key: str) -> str:
    """What lists show of a key, and what finds its row: 47 of its bits, so 209 stay secret."""
    return key[:_PREFIX_LENGTH]


def digest(key: str) -> str:
    """What is stored of a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode("ascii")).hexdigest()


def duration_s(text: str) -> int:
    """Seconds of `12h`, `90d` or `4w`; WrongExpiry for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise WrongExpiry(value=text)
    return int(match[1]) * _SECONDS[match[2]]
