"""SHA-256 of files, and whether files still have those that a manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def flaw_of(folder: Path, files: Mapping[str, str]) -> str | None:
    """What is wrong with the first file that does not have its SHA-256, in words; None if all have.

    Args:
        folder: where the files lie.
        files: the SHA-256 of each, by name.
    """
    for name, expected in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256(folder / name) != expected:
            return f"{name} has changed"
    return None


def sha256(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
